// What makes the console's pages quicker to use. Without it, all of them still work.
"use strict";

// Exact times in the reader's zone.
function localise(root) {
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
  const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  for (const time of root.querySelectorAll("time[datetime]")) {
    const text = exact.format(new Date(time.dateTime));
    if (time.classList.contains("exact")) {
      time.textContent = text;
    } else {
      time.title = text;
    }
    if (time.classList.contains("clock")) {
      time.textContent = clock.format(new Date(time.dateTime));
    }
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
for (const trouble of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(trouble, () => announce("The server did not answer. What you see may be old."));
}
localise(document);

// Try it: what went wrong is shown where the verdict would be, and either is told.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.id === "result") {
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  }
});
document.addEventListener("htmx:afterSettle", (event) => {
  if (event.target.id === "result") {
    announce(event.target.querySelector(".verdict, .problem")?.innerText ?? "");
  }
});

// Times of a filter: in the reader's zone on the page, in UTC in its address.
for (const field of document.querySelectorAll("input[data-utc]")) {
  if (field.value) {
    const at = new Date(field.value + "Z");
    field.value = new Date(at - at.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
  }
  field.form.addEventListener("formdata", (event) => {
    event.formData.set(field.name, field.value && new Date(field.value).toISOString().slice(0, 16));
  });
  field.labels[0].querySelector(".zone").textContent = "in your zone";
}
