-- Run for each request, with new globals each time: what is to stay is in a module.
local net = require "answer_net"
local query = lighty.r.req_attr["uri.query"] or ""
local x, y = query:match "x=([^&]*)&y=([^&]*)"
local answer = net:predict({ { tonumber(x) or 0, tonumber(y) or 0 } }):item()
lighty.content = { answer > 0.5 and "inside" or "outside" }
return 200
