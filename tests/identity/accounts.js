// A real provider of accounts on loopback, for tests: `node accounts.js '<settings as JSON>'`.
// Prints its address once it answers. Whoever signs in is known; the password is not looked at. Besides what it is made
// of, `/counts` tells how often each kind of grant was given and refused, and `/forget` takes every consent back.
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const settings = JSON.parse(process.argv[2]);
const server = createServer();
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [settings.client],
  claims: { openid: ["sub"], email: ["email", "email_verified"] },
  scopes: ["openid", "email", "offline_access"],
  ttl: { AccessToken: settings.seconds ?? 3600 },
  features: {
    devInteractions: { enabled: true },
    deviceFlow: { enabled: true },
    revocation: { enabled: true },
    userinfo: { enabled: true },
  },
  findAccount: (_context, id) => ({ accountId: id, claims: async () => ({ sub: id, email: `${id}@example.com` }) }),
  issueRefreshToken: () => true,
  rotateRefreshToken: () => true,
  pkce: { required: (context) => context.oidc.route === "authorization" },
});

const counts = { given: {}, refused: {} };
const count = (where, grant) => (where[grant ?? "none"] = (where[grant ?? "none"] ?? 0) + 1);
provider.on("grant.success", (context) => count(counts.given, context.oidc.params.grant_type));
provider.on("grant.error", (context) => count(counts.refused, context.oidc.params?.grant_type));

const grants = new Set();
provider.on("grant.success", (context) => grants.add(context.oidc.entities.Grant.jti));

server.on("request", async (request, response) => {
  if (request.url === "/counts") return response.end(JSON.stringify(counts));
  if (request.url !== "/forget") return provider.callback()(request, response);
  for (const id of grants) {
    await provider.RefreshToken.revokeByGrantId(id);
    await provider.AccessToken.revokeByGrantId(id);
  }
  response.end("{}");
});
console.log(issuer);
