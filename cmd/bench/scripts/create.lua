-- Creates keys with unique names. Options: caller, seed.

function prepare()
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  local made = 0
  function request()
    made = made + 1
    return wrk.format(nil, nil, nil, string.format(
      '{"name":"created %s-%d-%d","expires_at":"2099-12-31T12:00:00Z"}', options.seed, number, made))
  end
end
