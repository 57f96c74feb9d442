--[[
/etc/rspamd/plugins.d/postern.lua - asks Postern's rulesd within Rspamd's scan, and does what it says. Rspamd 3.4 and newer.

Before the filters   rulesd is asked with the whole message and its envelope. What it decides by rules alone is done at once: refuse,
                     defer, take recipients off the message. The thresholds of the recipients' domain are set for this scan.
                     An allow or a learned sender is a symbol with a weight, and Rspamd goes on scanning.
After the filters    where the domain would rather hold what its score refuses or tags, the message is handed over to be held; only
                     when that is done the MTA is told to drop it.
The rest             of the log is metadata_exporter's (local.d/metadata_exporter.conf).

Settings stand in the section postern of rspamd.conf.local.
]]

local rspamd_http = require "rspamd_http"
local rspamd_logger = require "rspamd_logger"
local lua_util = require "lua_util"
local ucl = require "ucl"

local N = "postern"
local OFF = 999.0 -- a threshold that is never reached; 3.4 takes no null

local settings = {
  url = "http://127.0.0.1:11344", -- a listener of rulesd
  password = nil,                 -- [rulesd] password, unless this address is in mta_from
  token = nil,                    -- with the scope ingest:rspamd: without it nothing can be held by its score
  timeout = 2.5,                  -- each of the two questions; both together have to be less than task_timeout
  on_failure = "soft reject",     -- or "accept": without rulesd, or its rules, Rspamd alone decides
  prefix = "POSTERN",             -- of the symbols here: they are registered once, whatever the recipients' brands are
}

local opts = rspamd_config:get_all_opt(N)
if not opts then
  lua_util.disable_module(N, "config")
  return
end
settings = lua_util.override_defaults(settings, opts)

-- One line, for the head of a request: what strangers wrote is in these.
local function line(text)
  return (tostring(text or ""):gsub("[%c]", " "))
end

local function addresses(list)
  local out = {}
  for _, a in ipairs(list or {}) do out[#out + 1] = "<" .. line(a.addr) .. ">" end
  return out
end

local function envelope(task)
  local ip, from = task:get_from_ip(), task:get_from("smtp")
  local headers = {
    ["Rcpt"] = table.concat(addresses(task:get_recipients("smtp")), ", "),
    ["Flags"] = task:has_flag("milter") and "milter,no_log" or "no_log",
  }
  if from and from[1] then headers["From"] = "<" .. line(from[1].addr) .. ">" end
  if ip and ip:is_valid() then headers["IP"] = tostring(ip) end
  for name, value in pairs({
    ["Helo"] = task:get_helo(), ["Hostname"] = task:get_hostname(), ["User"] = task:get_user(),
    ["Queue-Id"] = task:get_queue_id(), ["Password"] = settings.password,
  }) do
    if value and value ~= "" and value ~= "unknown" and value ~= "undef" then headers[name] = line(value) end
  end
  return headers
end

-- The MTA shall try again, unless it was said that mail goes on without us.
local function fail(task, why)
  rspamd_logger.errx(task, "postern: %s", why)
  task:insert_result(settings.prefix .. "_FAIL", 1.0)
  if settings.on_failure ~= "accept" then
    task:set_pre_result("soft reject", "Try again later", N)
  end
end

local function read(body)
  local parser = ucl.parser()
  local ok = body and parser:parse_string(tostring(body))
  local said = ok and parser:get_object()
  return type(said) == "table" and said or nil
end

-- ---- before the filters ----

local function set_thresholds(task, thresholds)
  local t = thresholds or {}
  local actions = {
    ["reject"] = t["reject"] or OFF, ["add header"] = t["add header"] or OFF, ["greylist"] = t["greylist"] or OFF,
  }
  -- Who has settings for this message already (another plugin, a settings map) keeps them.
  local ok, err = pcall(task.set_settings, task, { actions = actions })
  if not ok then rspamd_logger.warnx(task, "postern: thresholds not set: %s", err) end
end

-- rulesd calls them by the prefix of the recipients' brand; what they are stands behind it.
local function insert_symbols(task, symbols)
  for name, s in pairs(symbols or {}) do
    local what = name:match("_([A-Z]+)$")
    if what == "ALLOW" or what == "BLOCK" or what == "LEARNED" then
      task:insert_result(settings.prefix .. "_" .. what, 1.0, s.options or {})
    end
  end
end

-- What the MTA shall do besides: fields to take off, recipients to take off, or drop the message as a whole.
local function milter_reply(task, milter)
  local reply = {}
  for _, key in ipairs({ "remove_headers", "del_rcpt", "reject" }) do
    if milter and milter[key] then reply[key] = milter[key] end
  end
  if next(reply) then task:set_milter_reply(reply) end
end

local function apply(task, said)
  local message = said.messages and said.messages.smtp_message

  insert_symbols(task, said.symbols)
  milter_reply(task, said.milter)
  if said.action == "reject" or said.action == "soft reject" then
    task:set_pre_result(said.action, message or "Try again later", N)
    return
  end
  set_thresholds(task, said.thresholds)
  if said.action == "add header" then -- by a rule: at least that
    task:set_pre_result({ action = "add header", message = message or "", module = N, flags = "least,process_all" })
  end
  for _, action in ipairs(said.hold or {}) do
    task:get_mempool():set_variable("postern_hold_" .. action:gsub(" ", "_"), 1.0)
  end
end

local function ask(task)
  rspamd_http.request({
    task = task, url = settings.url .. "/checkv2", method = "post", mime_type = "message/rfc822",
    headers = envelope(task), body = task:get_content(), timeout = settings.timeout,
    callback = function(err, code, body)
      local said = not err and code == 200 and read(body)
      if said and said.action then
        apply(task, said)
      else
        fail(task, err or ("rulesd answered " .. tostring(code)))
      end
    end,
  })
end

-- ---- after the filters ----

-- As metadata_exporter says it; that the same comes from there once more does not matter.
local function result(task)
  local ip, from, symbols, rcpt = task:get_from_ip(), task:get_from("smtp"), {}, {}

  for _, s in ipairs(task:get_symbols_all()) do
    local options = {}
    for _, o in ipairs(s.options or {}) do options[#options + 1] = line(o) end
    symbols[#symbols + 1] = { name = s.name, score = s.score, options = #options > 0 and options or nil }
  end
  for _, a in ipairs(task:get_recipients("smtp") or {}) do rcpt[#rcpt + 1] = line(a.addr) end
  return {
    ["Authorization"] = "Bearer " .. settings.token,
    ["X-Rspamd-Qid"] = line(task:get_queue_id()), ["X-Rspamd-Action"] = "reject",
    ["X-Rspamd-Score"] = string.format("%.2f", task:get_metric_score()[1]),
    ["X-Rspamd-User"] = line(task:get_user() or "unknown"),
    ["X-Rspamd-Ip"] = ip and ip:is_valid() and tostring(ip) or "unknown",
    ["X-Rspamd-From"] = from and from[1] and line(from[1].addr) or "unknown",
    ["X-Rspamd-Rcpt"] = ucl.to_format(rcpt, "json-compact"),
    ["X-Rspamd-Symbols"] = ucl.to_format(symbols, "json-compact"),
  }
end

local function hold(task)
  local action = task:get_metric_action()
  local wanted = action and task:get_mempool():get_variable("postern_hold_" .. action:gsub(" ", "_"), "double")

  if not wanted or not settings.token or not task:has_flag("milter") then return end
  rspamd_http.request({
    task = task, url = settings.url .. "/ingest/rspamd", method = "post", mime_type = "message/rfc822",
    headers = result(task), body = task:get_content(), timeout = settings.timeout,
    callback = function(err, code)
      if err or code ~= 200 then
        -- Not held: it must not be dropped. The sender comes again.
        rspamd_logger.errx(task, "postern: not held: %s", err or code)
        task:set_pre_result("soft reject", "Try again later", N)
        return
      end
      task:insert_result(settings.prefix .. "_HELD", 1.0)
      task:set_milter_reply({ reject = "discard" })
      task:set_pre_result("reject", "Held", N)
    end,
  })
end

-- ---- symbols ----

local timeout = { string.format("timeout=%f", settings.timeout) }

local asks = rspamd_config:register_symbol({
  name = settings.prefix .. "_ASK", type = "prefilter", callback = ask, priority = 9, group = N, score = 0.0,
  flags = "empty,nostat", augmentations = timeout,
})
for what, score in pairs({ ALLOW = -100.0, BLOCK = 100.0, LEARNED = -6.0, FAIL = 0.0 }) do
  rspamd_config:register_symbol({ name = settings.prefix .. "_" .. what, type = "virtual", parent = asks, group = N, score = score })
end
local holds = rspamd_config:register_symbol({
  name = settings.prefix .. "_HOLD", type = "postfilter", callback = hold, priority = 9, group = N, score = 0.0,
  flags = "empty,nostat,ignore_passthrough", augmentations = timeout,
})
rspamd_config:register_symbol({ name = settings.prefix .. "_HELD", type = "virtual", parent = holds, group = N, score = 0.0 })
