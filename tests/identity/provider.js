// A real OpenID provider on loopback, for tests: `node provider.js '<settings as JSON>'`.
// Prints its issuer once it answers. Whoever signs in is an account of the settings; the password is not looked at.
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const settings = JSON.parse(process.argv[2]);
const server = createServer();
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const issuer = `http://127.0.0.1:${server.address().port}${settings.path ?? ""}`;

const provider = new Provider(issuer, {
  clients: [settings.client],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"], groups: ["groups"] },
  scopes: ["openid", "email", "profile", "groups"],
  features: {
    backchannelLogout: { enabled: true },
    devInteractions: { enabled: true },
    rpInitiatedLogout: { enabled: true },
  },
  findAccount: (_context, id) => {
    const known = settings.accounts[id];
    return known && { accountId: id, claims: async () => ({ sub: id, ...known }) };
  },
  pkce: { required: () => true },
  fetch: (url, options) => fetch(url, { ...options, dispatcher: undefined }),
});

provider.on("backchannel.error", (_context, error) => console.error(error.message));
server.on("request", settings.path ? mounted(settings.path, provider.callback()) : provider.callback());
console.log(issuer);

// An issuer with a path, as many have: its addresses lie below it.
function mounted(path, callback) {
  return (request, response) => {
    request.originalUrl = request.url;
    request.url = request.url.replace(path, "") || "/";
    callback(request, response);
  };
}
