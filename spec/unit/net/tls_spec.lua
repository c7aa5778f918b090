-- TLS towards servers: openssl's own s_server with certificates made here.
local driver = require "spec.unit.net.driver"

local servers = {}
local port_of = {}

local make_certificates = [[
set -e
exec >/dev/null 2>&1
key() { openssl ecparam -name prime256v1 -genkey -noout -out $1.key; }
key ca; openssl req -x509 -key ca.key -out ca.pem -days 30 -subj "/CN=Spec CA"
leaf() {
  key $1
  openssl req -new -key $1.key -out $1.csr -subj "/CN=$1"
  echo "subjectAltName=$2" >$1.ext
  openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days $3 -extfile $1.ext -out $1.pem
}
leaf good "DNS:localhost,DNS:good.test,IP:127.0.0.1" 20
leaf old "DNS:localhost,IP:127.0.0.1" -1
key self; openssl req -x509 -key self.key -out self.pem -days 30 -subj "/CN=self" -addext "subjectAltName=IP:127.0.0.1"
mkdir www; head -c 3000000 /dev/urandom >www/big
]]

-- s_server takes port 0 and says which it got. Its stdin stays open, or it would end.
local function serve(name, options, directory)
  local inner = ("sleep 600 | openssl s_server -accept 127.0.0.1:0 %s"):format(options)
  servers[#servers + 1] = driver.shell(("cd %s; setsid sh -c %s >$T/%s.out 2>$T/%s.err & echo $!"):format(
    directory or "$T", driver.quote(inner), name, name)):match "%d+"
  driver.wait(function()
    port_of[name] = driver.shell("cat " .. name .. ".out"):match "ACCEPT 127%.0%.0%.1:(%d+)"
    return port_of[name]
  end, 10)
  assert(port_of[name], "openssl s_server doesn't start")
end

describe("net/tls", function()
  setup(function()
    driver.build "tls"
    driver.shell("(" .. make_certificates .. ")")
    serve("good", "-cert good.pem -key good.key -rev -alpn http/1.1")
    serve("old", "-cert old.pem -key old.key -rev")
    serve("self", "-cert self.pem -key self.key -rev")
    serve("www", "-cert ../good.pem -key ../good.key -WWW", "$T/www")
    serve("sink", "-cert good.pem -key good.key -naccept 1")
    serve("sink2", "-cert good.pem -key good.key -naccept 1")
  end)
  teardown(function()
    for _, pid in ipairs(servers) do os.execute("kill -- -" .. pid .. " 2>/dev/null") end
    driver.remove()
  end)

  -- host, server, CA file, name to verify, verify, ALPN
  local function talk(host, server, ca, name, verify, alpn)
    return driver.run("tls_talk", host, port_of[server], ca and driver.directory() .. "/" .. ca or "", name or "",
      verify == false and 0 or 1, alpn or "", "hello world\n", 12)
  end
  local function talks(...)
    local r = talk(...)
    assert.same({ "1", "OK", "1" }, { r.connects, r.err, r.closed })
    assert.equal("dlrow olleh", r.out)
    assert.is_nil(r.why)
  end
  local function refuses(why, ...)
    local r = talk(...)
    assert.equal(why, r.why)
    assert.same({ "1", "ECONNECT", "0", "1" }, { r.connects, r.err, r.ends, r.closed })
  end

  it("talks to a server whose certificate is good, by address and by name", function()
    talks("127.0.0.1", "good", "ca.pem")
    talks("localhost", "good", "ca.pem", nil, true, "http/1.1")
    talks("127.0.0.1", "good", "ca.pem", "good.test")
    talks("127.0.0.1", "good", "ca.pem", "good.test.")
  end)

  it("refuses a certificate of another host", function()
    refuses("the certificate of bad.test is for another host", "127.0.0.1", "good", "ca.pem", "bad.test")
    refuses("the certificate of 127.0.0.2 is for another host", "127.0.0.1", "good", "ca.pem", "127.0.0.2")
  end)

  it("refuses a certificate by nobody known", function()
    refuses("the certificate of 127.0.0.1 is by an issuer that is not trusted", "127.0.0.1", "good")
    refuses("the certificate of 127.0.0.1 is not accepted: self-signed certificate", "127.0.0.1", "self", "ca.pem")
  end)

  it("refuses a certificate that has expired", function()
    refuses("the certificate of 127.0.0.1 has expired", "127.0.0.1", "old", "ca.pem")
  end)

  it("accepts any when told not to look", function()
    talks("127.0.0.1", "good", nil, "bad.test", false)
    talks("127.0.0.1", "old", nil, nil, false)
  end)

  it("says when the CA file is no good", function()
    local function why(ca)
      local r = talk("127.0.0.1", "good", ca)
      assert.same({ "1", "ESYSTEM", "1" }, { r.connects, r.err, r.closed })
      return r.why:gsub("^can't read the certificates in " .. driver.directory():gsub("%p", "%%%0") .. "/", "")
    end
    assert.equal("none.pem: no such file or directory", (why "none.pem"))
    assert.equal("good.ext: no certificate or crl found", (why "good.ext"))
  end)

  it("says when the server doesn't speak TLS", function()
    local r = driver.run("tls_plain", 0)
    assert.equal("127.0.0.1 doesn't speak TLS on this port", r.why)
    assert.same({ "1", "ECONNECT", "0", "1" }, { r.connects, r.err, r.ends, r.closed })
  end)

  it("says when the server goes in the middle of the handshake", function()
    local r = driver.run("tls_plain", 1)
    assert.equal("the connection was closed during the TLS handshake", r.why)
    assert.same({ "1", "ECLOSED", "0", "1" }, { r.connects, r.err, r.ends, r.closed })
  end)

  it("starts on a stream that was plain before", function()
    local r = driver.run("tls_upgrade", "127.0.0.1", port_of.good, driver.directory() .. "/ca.pem", "good.test", 1,
      "", "hello world\n")
    assert.equal("dlrow olleh", r.out)
    assert.same({ "2", "OK", "1" }, { r.connects, r.err, r.closed })
  end)

  it("is closed once, at whatever time", function()
    local r = driver.run("tls_storm", "127.0.0.1", port_of.good, driver.directory() .. "/ca.pem", "", 1, "", 100)
    assert.equal("100", r.closed)
  end)

  it("reads megabytes, stopping wherever it likes, to a clean end", function()
    local r = driver.run("tls_pauses", "127.0.0.1", port_of.www, driver.directory() .. "/ca.pem", "", 1, "",
      "GET /big HTTP/1.0\r\n\r\n")
    local expected = driver.parse(driver.shell
      [[(printf 'HTTP/1.0 200 ok\r\nContent-type: text/plain\r\n\r\n'; cat www/big) | $D sum_stdin]])
    assert.equal(expected.total, r.total)
    assert.equal(expected.sum, r.sum)
    assert.same({ "1", "OK", "1" }, { r.ends, r.end_err, r.closed })
  end)

  -- s_server talks before and after what came: the bytes are cut out by count.
  local function sunk(sink, r)
    assert.is_true(driver.wait(function()
      return driver.shell("wc -c <" .. sink .. ".out"):match "%d+" + 0 > tonumber(r.total)
    end, 10))
    driver.sleep(0.2)
    local text = driver.shell("cat " .. sink .. ".out")
    local _, last = text:find("Secure Renegotiation IS supported\n", 1, true)
    assert.truthy(last)
    local file = assert(io.open(driver.directory() .. "/sunk", "wb"))
    file:write(text:sub(last + 1, last + tonumber(r.total)))
    file:close()
    return driver.parse(driver.shell "$D sum_stdin <sunk").sum
  end

  it("writes megabytes given before it was connected", function()
    local r = driver.run("tls_upload", "127.0.0.1", port_of.sink, driver.directory() .. "/ca.pem", "", 1, "")
    assert.same({ "1", "0", "0", "1", "1" }, { r.held, r.connects, r.drains, r.closed, r.block_refs })
    assert.equal(r.sum, sunk("sink", r))
  end)

  it("tells when what was held has drained", function()
    local r = driver.run("tls_upload", "127.0.0.1", port_of.sink2, driver.directory() .. "/ca.pem", "", 1, "", "drained")
    assert.same({ "1", "1", "1", "1", "1" }, { r.held, r.connects, r.drains, r.closed, r.block_refs })
    assert.equal(r.sum, sunk("sink2", r))
  end)
end)
