// Passkeys in the browser: shows the buttons that work here, and carries what device and platform say to each other.
//
// <button data-passkey="sign-in" data-next="/account" hidden>, <button data-passkey="add" hidden>, and beside them
// [data-passkey-fault] for what went wrong and [data-passkey-or] that is shown with the button.
"use strict";

const API = "/api/v1";

const bytes = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (sign) => sign.charCodeAt(0));

const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

async function ask(path, body) {
  const answer = await fetch(API + path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.detail);
  return told;
}

const described = (one) => ({ ...one, id: bytes(one.id) });

function packed(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = text(credential.response[name]);
  }
  return { id: credential.id, rawId: text(credential.rawId), type: credential.type, response };
}

async function signIn(button) {
  const options = await ask("/login/passkey/challenge", {});
  options.challenge = bytes(options.challenge);
  options.allowCredentials = (options.allowCredentials ?? []).map(described);
  const shown = await navigator.credentials.get({ publicKey: options });
  await ask("/login/passkey", { credential: packed(shown) });
  location.assign(button.dataset.next || "/account");
}

async function add() {
  const options = await ask("/passkeys/challenge", {});
  options.challenge = bytes(options.challenge);
  options.user.id = bytes(options.user.id);
  options.excludeCredentials = (options.excludeCredentials ?? []).map(described);
  const made = await navigator.credentials.create({ publicKey: options });
  const name = navigator.userAgentData?.platform || navigator.platform || "";
  await ask("/passkeys", { credential: packed(made), name });
  location.reload();
}

const ACTS = { "sign-in": signIn, add };

// A device binds passkeys to a name, never to an address in numbers.
const works = window.PublicKeyCredential && !/^[\d.]+$|:/.test(location.hostname);

for (const button of works ? document.querySelectorAll("[data-passkey]") : []) {
  button.hidden = false;
  document.querySelectorAll("[data-passkey-or]").forEach((one) => (one.hidden = false));
  button.addEventListener("click", async () => {
    const fault = document.querySelector("[data-passkey-fault]");
    button.disabled = true;
    if (fault) fault.hidden = true;
    try {
      await ACTS[button.dataset.passkey](button);
    } catch {
      if (fault) fault.hidden = false;
    } finally {
      button.disabled = false;
    }
  });
}
