-- Sends requests with the headers of browsers: a few user agents and paths, created once and sent in turn.
local agents = {
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
  "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
}
local languages = { "en-US,en;q=0.9", "de-DE,de;q=0.9,en;q=0.8", "fr-FR,fr;q=0.9,en-US;q=0.8,en;q=0.7", "ja" }
local paths = {
  function() return "/" end,
  function(i) return "/products/" .. i end,
  function(i) return "/articles/how-to-count-" .. i end,
  function(i) return "/search?q=shoes&page=" .. i end,
  function(i) return "/api/items/" .. i .. "?fields=name,price" end,
}
local requests, at = {}, 0

function init()
  for i = 1, 500 do
    requests[i] = wrk.format("GET", paths[i % #paths + 1](i), {
      ["Host"] = "shop.example.org",
      ["User-Agent"] = agents[i % #agents + 1],
      ["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
      ["Accept-Language"] = languages[i % #languages + 1],
      ["Accept-Encoding"] = "gzip, deflate, br, zstd",
      ["Referer"] = "https://www.example.org/list?page=" .. i % 20,
      ["Cookie"] = "consent=yes; theme=dark; visitor=" .. string.format("%032x", i % 50),
      ["Sec-Fetch-Dest"] = "document",
      ["Sec-Fetch-Mode"] = "navigate",
      ["Sec-Fetch-Site"] = "same-origin",
      ["Upgrade-Insecure-Requests"] = "1",
    })
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end
