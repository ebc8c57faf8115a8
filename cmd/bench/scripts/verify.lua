-- Verifies secrets from a file with lines of equal length. Options: caller, secrets, count (how many
-- of them), seed (of the random choice), from (use them in order from this one).

function prepare()
  local secrets = content(options.secrets)
  local line = secrets:find("\n", 1, true)
  local count = tonumber(options.count)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  local before, after = '{"key":"', '","scopes":["datasets:read"]}'
  -- All bodies have the same length, so only the secret in the middle changes.
  local mark = string.rep("?", line - 1)
  local head, tail = split(wrk.format(nil, nil, nil, before .. mark .. after), mark)

  math.randomseed(tonumber(options.seed) * 64 + number)
  local position = tonumber(options.from)
  function request()
    local i
    if position then
      i = position % count
      position = position + 1
    else
      i = math.random(0, count - 1)
    end
    return head .. secrets:sub(i * line + 1, i * line + line - 1) .. tail
  end
end

function split(text, mark)
  local first, last = text:find(mark, 1, true)
  return text:sub(1, first - 1), text:sub(last + 1)
end
