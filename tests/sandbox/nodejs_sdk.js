// WePay's NodeJS SDK, told over stdin which calls to make: a line of JSON each, and one back.
const http = require('http');
const https = require('https');
const readline = require('readline');

// The SDK knows WePay's own address only.
const sandbox = new URL(process.env.SANDBOX_URL);
https.request = (options, callback) =>
  http.request({ ...options, host: sandbox.hostname, port: sandbox.port }, callback);

const { WEPAY } = require('wepay');

const wepay = new WEPAY({ client_id: 12345 });
wepay.use_staging();

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const { call, params, token } = JSON.parse(line);
  if (token) wepay.set_access_token(token);
  wepay.call(call, params, (answer) => console.log(JSON.stringify(answer)));
});
