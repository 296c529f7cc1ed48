// Passkeys: a button asks the server what to sign, the device signs, and the form is sent with the answer.
"use strict";

(function () {
  const bytes = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
  const letters = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replace(/\+/g, "-")
      .replace(/\//g, "_")
      .replace(/=+$/, "");
  const known = (keys) => (keys || []).map((key) => ({ ...key, id: bytes(key.id) }));

  async function created(options) {
    const user = { ...options.user, id: bytes(options.user.id) };
    const challenge = bytes(options.challenge);
    const excludeCredentials = known(options.excludeCredentials);
    const made = await navigator.credentials.create({ publicKey: { ...options, user, challenge, excludeCredentials } });
    return told(made, {
      clientDataJSON: letters(made.response.clientDataJSON),
      attestationObject: letters(made.response.attestationObject),
      transports: made.response.getTransports ? made.response.getTransports() : [],
    });
  }

  async function signed(options) {
    const challenge = bytes(options.challenge);
    const allowCredentials = known(options.allowCredentials);
    const by = await navigator.credentials.get({ publicKey: { ...options, challenge, allowCredentials } });
    return told(by, {
      clientDataJSON: letters(by.response.clientDataJSON),
      authenticatorData: letters(by.response.authenticatorData),
      signature: letters(by.response.signature),
      ...(by.response.userHandle ? { userHandle: letters(by.response.userHandle) } : {}),
    });
  }

  function told(credential, response) {
    return JSON.stringify({
      id: credential.id,
      rawId: letters(credential.rawId),
      type: credential.type,
      response,
      clientExtensionResults: {},
    });
  }

  async function ask(part, form) {
    const failed = form.querySelector("[data-passkey-failed]");
    failed.hidden = true;
    try {
      const token = form.querySelector("input[name$=csrf_token]").value;
      const headers = { "X-CSRFToken": token, Accept: "application/json" };
      const answer = await fetch(part.dataset.options, { method: "POST", headers });
      if (!answer.ok) throw new Error(String(answer.status));
      const options = await answer.json();
      const make = part.dataset.passkey === "create" ? created : signed;
      form.querySelector("[data-passkey-answer]").value = await make(options);
      form.submit();
    } catch (error) {
      failed.hidden = false;
    }
  }

  for (const part of document.querySelectorAll("[data-passkey]")) {
    const form = part.closest("form");
    const button = part.querySelector("[data-passkey-go]");
    if (!window.PublicKeyCredential) {
      const none = part.querySelector("[data-passkey-none]");
      if (none) none.hidden = false;
      if (none) button.disabled = true;
      continue;
    }
    part.hidden = false;
    button.addEventListener("click", (event) => {
      event.preventDefault();
      // The code that one would type instead is not asked for here.
      if (part !== form || form.reportValidity()) ask(part, form);
    });
  }
})();
