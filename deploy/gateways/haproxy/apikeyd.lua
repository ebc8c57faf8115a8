local address = "http://127.0.0.1:8080/v1/forward-auth"
local timeout = 2000 -- milliseconds; HAProxy tries four times before it gives up

local credentials = { "x-api-key", "authorization" }
local identity = { "x-api-key-id", "x-api-key-name", "x-api-key-owner", "x-api-key-scopes" }
local passed_back = { "content-type", "www-authenticate", "retry-after", "ratelimit", "ratelimit-policy" }

local unavailable = '{"status": 503, "message": "API keys cannot be checked now"}'

local function escape(text)
    return (text:gsub("[^%w._~-]", function(c) return string.format("%%%02X", c:byte()) end))
end

-- The value of a header that came once and holds nothing but printable ASCII.
local function value_of(headers, name)
    local values = headers and headers[name]
    if values and values[0] and not values[1] and not values[0]:find("[^\32-\126]") then
        return values[0]
    end
end

local function refuse(txn, answer)
    local reply = txn:reply({ status = 503 })
    if answer.status == 401 or answer.status == 403 or answer.status == 429 then
        reply:set_status(answer.status)
        for _, name in ipairs(passed_back) do
            local value = value_of(answer.headers, name)
            if value then reply:add_header(name, value) end
        end
        reply:set_body(answer.body or "")
    else
        reply:add_header("content-type", "application/json")
        reply:add_header("retry-after", "1")
        reply:set_body(unavailable)
    end
    txn:done(reply) -- nothing after this is run
end

local function ask(txn, query)
    txn:unset_var("txn.apikeyd")
    local sent, headers = txn.http:req_get_headers(), { ["x-forwarded-for"] = { txn.f:src() } }
    for _, name in ipairs(credentials) do
        for _, value in pairs(sent[name] or {}) do
            headers[name] = headers[name] or {}
            table.insert(headers[name], value)
        end
    end
    local answer = core.httpclient():get({ url = address .. query, headers = headers, timeout = timeout })
    if answer.status ~= 200 then
        return refuse(txn, answer)
    end
    for _, name in ipairs(identity) do
        local value = value_of(answer.headers, name)
        if not value then
            return refuse(txn, { status = 503 })
        end
        txn.http:req_set_header(name, value)
    end
    txn:set_var("txn.apikeyd", "passed")
end

core.register_action("apikeyd", { "http-req" }, function(txn, scopes)
    ask(txn, "?rate_limited=429&scope=" .. escape(scopes))
end, 1)

core.register_action("apikeyd_any_scope", { "http-req" }, function(txn)
    ask(txn, "?rate_limited=429")
end, 0)
