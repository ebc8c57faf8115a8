// What makes the console's pages quicker to use. Without it, all of them still work.
"use strict";

// Exact times in the reader's zone.
function localise(root) {
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
  for (const time of root.querySelectorAll("time[datetime]")) {
    time.title = exact.format(new Date(time.dateTime));
  }
}

// Tell a screen reader what changed without moving it there.
function announce(text) {
  const announcer = document.getElementById("announcer");
  announcer.textContent = "";
  setTimeout(() => { announcer.textContent = text; }, 50);
}

// Keys that do something anywhere but in a field: "/" searches, "n" makes a new key.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) {
    return;
  }
  const typing = event.target.closest("input, textarea, select");
  if (event.key === "Escape") {
    const leave = document.querySelector("[data-shortcut=Escape]");
    if (typing) {
      typing.blur();
    } else if (leave) {
      leave.click();
    }
    return;
  }
  const target = typing ? null : document.querySelector(`[data-shortcut="${CSS.escape(event.key)}"]`);
  if (target) {
    event.preventDefault();
    if (target.matches("a, button")) {
      target.click();
    } else {
      target.focus();
      target.select();
    }
  }
});

document.addEventListener("htmx:load", (event) => localise(event.target));
document.addEventListener("htmx:afterSettle", (event) => {
  if (event.target.id !== "results") {
    return;
  }
  const rows = document.querySelectorAll("#results tbody tr").length;
  announce(rows === 1 ? "1 key is shown" : `${rows} keys are shown`);
});

// Say that the server is waited for, or does not answer; what is there stays.
document.addEventListener("htmx:beforeRequest", (event) => event.detail.target.setAttribute("aria-busy", "true"));
document.addEventListener("htmx:afterRequest", (event) => {
  event.detail.target.removeAttribute("aria-busy");
  if (event.detail.successful) {
    document.getElementById("offline").hidden = true;
  }
});
for (const trouble of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(trouble, () => {
    const offline = document.getElementById("offline");
    offline.textContent = "The server did not answer as it should. What you see may be old.";
    offline.hidden = false;
  });
}
localise(document);
