"use strict";

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
