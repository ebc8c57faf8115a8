"use strict";

// The theme that was chosen in the console, else the browser's. Services below other paths of this host have cookies of
// their own, whose names end with the path.
const below = location.pathname.replace(/\/docs\/?$/, "").replaceAll("/", "+");
const chosen = document.cookie.split("; ").find((cookie) => cookie.startsWith(`apikeyd_theme${below}=`))?.split("=")[1];
const wantsDark = matchMedia("(prefers-color-scheme: dark)");
const setTheme = () => {
  const dark = chosen ? chosen === "dark" : wantsDark.matches;
  document.documentElement.classList.toggle("dark-mode", dark);
  document.documentElement.classList.toggle("light-mode", !dark);
};
setTheme();
wantsDark.addEventListener("change", setTheme);

// Who came from the console finds the way back.
if (/\/console(\/|\?|$)/.test(document.referrer)) {
  const back = document.getElementById("back");
  back.href = "console";
  back.hidden = false;
}

// The viewer fills in every parameter's example. As an owner it would go out with each
// call, and get a 403 or a 404; so what is optional starts empty, or at its default.
const optionalStartsEmpty = () => ({
  statePlugins: {
    spec: {
      wrapSelectors: {
        parameterWithMetaByIdentity: (original) => (_state, ...args) => {
          const parameter = original(...args);
          return parameter.get("required") ? parameter : parameter.delete("example").deleteIn(["schema", "example"]);
        },
      },
    },
  },
});

SwaggerUIBundle({
  dom_id: "#viewer",
  url: "openapi.json",
  plugins: [optionalStartsEmpty],
  deepLinking: true,
  showCommonExtensions: true, // limits, beside each parameter
  showExtensions: true, // x-required-scope: what a key must hold
  tryItOutEnabled: true,
  displayRequestDuration: true,
  persistAuthorization: false, // a key stays in this page's memory
  validatorUrl: null, // the default sends the contract's address to another host
});
