-- The usual way in Lua: split the pairs, keep them at the top of the record.
function split(tag, timestamp, record)
    local line = record["log"]
    local out = {}
    for key, value in line:gmatch('([%w_]+)=("[^"]*")') do
        out[key] = value:sub(2, -2)
    end
    for key, value in line:gmatch('([%w_]+)=([^%s"]+)') do
        out[key] = value
    end
    return 2, timestamp, out
end
