-- What wrk asks, and what it says afterwards.
--
--     wrk ... -s http.lua URL -- [FILE]     FILE: the body of a form to post

function init(arguments)
    if arguments[1] then
        local file = assert(io.open(arguments[1], "rb"))
        wrk.method = "POST"
        wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
        wrk.body = file:read("*a")
        file:close()
    end
end

function done(summary)
    local errors = summary.errors
    io.write(string.format(
        "slice requests=%d us=%d bytes=%d status=%d connect=%d read=%d"
            .. " write=%d timeout=%d\n",
        summary.requests, summary.duration, summary.bytes, errors.status,
        errors.connect, errors.read, errors.write, errors.timeout))
end
