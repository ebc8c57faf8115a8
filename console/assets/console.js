// Makes the console's pages quicker to use. All of them work without it.
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

// The value of a datetime-local field for an instant, in the reader's zone: to the minute, or if the field has a
// step, to the second.
function fieldTime(at, field) {
  return upTo(field, new Date(at - at.getTimezoneOffset() * 60000));
}

function upTo(field, at) {
  return at.toISOString().slice(0, field.step ? 19 : 16);
}

// Tell a screen reader what changed without moving the focus.
function announce(text) {
  const announcer = document.getElementById("announcer");
  announcer.textContent = "";
  setTimeout(() => { announcer.textContent = text; }, 50);
}

// A part that opens over the page closes with Escape, and when the focus or a click goes elsewhere or its form is sent.
function closePop(pop) {
  pop.open = false;
  pop.querySelector("summary").focus();
}
document.addEventListener("keydown", (event) => {
  const pop = event.key === "Escape" && document.querySelector("[data-pop][open]");
  if (pop) {
    event.preventDefault();
    closePop(pop);
  }
});
document.addEventListener("focusout", (event) => {
  const pop = event.target.closest("[data-pop][open]");
  if (pop && event.relatedTarget && !pop.contains(event.relatedTarget)) {
    pop.open = false;
  }
});
document.addEventListener("click", (event) => {
  const pop = document.querySelector("[data-pop][open]");
  if (pop && !pop.contains(event.target)) {
    pop.open = false;
  }
});
document.addEventListener("submit", (event) => {
  const pop = event.target.querySelector("[data-pop][open]");
  if (pop) {
    closePop(pop);
  }
});

// Shortcuts, which work anywhere but in a field: "/" searches, "n" creates a key. Users of speech
// input can switch them off (WCAG 2.2, 2.1.4).
const shortcutsOff = "apikeyd-shortcuts-off";
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || event.defaultPrevented ||
      document.querySelector("dialog[open]")) {
    return;
  }
  const typing = event.target.closest("input:not([type=checkbox], [type=radio]), textarea, select");
  if (event.key === "Escape") {
    const leave = document.querySelector("[data-shortcut=Escape]");
    if (typing) {
      typing.blur();
    } else if (leave) {
      event.preventDefault(); // Escape would stop loading the next page
      leave.click();
    }
    return;
  }
  if (typing || localStorage.getItem(shortcutsOff)) {
    return;
  }
  const target = document.querySelector(`[data-shortcut="${CSS.escape(event.key)}"]`);
  // One key must not leave a page with a form to fill in or a secret.
  const kept = "main :is(form[method=post] :is(input:not([type=hidden]), select, textarea), #stored)";
  const stays = target?.matches("[data-leaves]") && document.querySelector(kept);
  if (target && !stays) {
    event.preventDefault();
    const folded = target.closest("details");
    if (folded) {
      folded.open = true;
    }
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

// Show that the page waits for the server, or that the server does not answer. The content stays.
document.addEventListener("htmx:beforeRequest", (event) => event.detail.target.setAttribute("aria-busy", "true"));
document.addEventListener("htmx:afterRequest", (event) => {
  event.detail.target.removeAttribute("aria-busy");
  if (event.detail.successful) {
    document.getElementById("offline").hidden = true;
  }
});
// A hidden page does not poll.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && event.detail.requestConfig.headers["Console-Poll"]) {
    event.preventDefault();
  }
});
for (const failure of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(failure, () => {
    const offline = document.getElementById("offline");
    offline.textContent = "The server did not answer as it should. What you see may be old.";
    offline.hidden = false;
  });
}
localise(document);

// Dialogs that a button opens, such as that of the shortcuts.
for (const opener of document.querySelectorAll("[data-opens]")) {
  opener.hidden = false;
  opener.addEventListener("click", () => {
    const dialog = document.getElementById(opener.dataset.opens);
    dialog.showModal();
    dialog.querySelector("[type=submit]").focus();
  });
}
const shortcutsOn = document.getElementById("shortcuts-on");
if (shortcutsOn) {
  shortcutsOn.checked = !localStorage.getItem(shortcutsOff);
  shortcutsOn.addEventListener("change", () => {
    if (shortcutsOn.checked) {
      localStorage.removeItem(shortcutsOff);
    } else {
      localStorage.setItem(shortcutsOff, "yes");
    }
  });
}

// Selecting keys in the table: their number, and "Select all".
function countChosen() {
  const form = document.getElementById("choice");
  if (!form) {
    return;
  }
  const boxes = [...form.elements].filter((box) => box.name === "id");
  const chosen = boxes.filter((box) => box.checked).length;
  const all = form.querySelector("[data-choose=all]");
  all.hidden = false;
  all.firstElementChild.checked = chosen === boxes.length;
  all.firstElementChild.indeterminate = chosen > 0 && chosen < boxes.length;
  form.querySelector("[data-choose=count]").textContent = chosen ? `${chosen} selected` : "";
  form.querySelector("button").disabled = !chosen;
}
document.addEventListener("change", (event) => {
  if (event.target.closest("[data-choose=all]")) {
    for (const box of event.target.form.elements) {
      if (box.name === "id") {
        box.checked = event.target.checked;
      }
    }
  }
  countChosen();
});
document.addEventListener("htmx:load", countChosen);
window.addEventListener("pageshow", countChosen); // going back restores the ticks

// A countdown continues from the server's value. At its end the key is loaded again.
function countDown(counter) {
  const end = Date.now() + counter.dataset.countdown * 1000;
  const timer = setInterval(() => {
    const left = Math.max(0, Math.ceil((end - Date.now()) / 1000));
    const hours = Math.floor(left / 3600);
    const two = (n) => String(Math.floor(n) % 60).padStart(2, "0");
    const plural = (n, unit) => (n === 1 ? `1 ${unit}` : `${n} ${unit}s`);
    counter.textContent = hours < 24 ? `${hours}:${two(left / 60)}:${two(left)}`
      : plural(Math.floor(hours / 24), "day") + (hours % 24 === 0 ? "" : " and " + plural(hours % 24, "hour"));
    if (left === 0) {
      clearInterval(timer);
      announce("The old secret no longer works.");
      htmx.ajax("GET", location.href, { target: "#key", select: "#key", swap: "outerHTML", headers: { "Console-Poll": "1" } });
    }
  }, 1000);
}
for (const counter of document.querySelectorAll("[data-countdown]")) {
  countDown(counter);
}

// Try it: errors are shown in place of the verdict, and both are announced.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.id === "result") {
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  }
});
document.addEventListener("htmx:afterSettle", (event) => {
  if (event.target.id !== "result") {
    return;
  }
  const faults = [...document.querySelectorAll("form.ask .fault")].filter((fault) => fault.textContent);
  for (const field of document.querySelectorAll("form.ask input")) {
    const wrong = faults.find((fault) => fault.id === `${field.id}-fault`);
    field.ariaInvalid = wrong ? "true" : null;
    if (wrong) {
      field.focus();
    }
  }
  announce(faults[0]?.lastChild.textContent ?? event.target.querySelector(".verdict, .problem")?.innerText ?? "");
});

// Times of a filter: in the reader's zone on the page, in UTC in the address.
for (const field of document.querySelectorAll("input[data-utc]")) {
  if (field.value) {
    field.value = fieldTime(new Date(field.value + "Z"), field);
  }
  field.form.addEventListener("formdata", (event) => {
    event.formData.set(field.name, field.value && upTo(field, new Date(field.value)));
  });
  field.labels[0].querySelector(".zone").textContent = "in your zone";
}

// Forms of keys.

// Days are shown in the reader's zone. A custom expiry is also sent as an exact instant.
for (const time of document.querySelectorAll("time.day")) {
  time.textContent = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" }).format(new Date(time.dateTime));
}
const custom = document.getElementById("custom");
if (custom) {
  const instant = document.getElementById("instant");
  const chosen = instant.value || (custom.value && custom.value + "Z"); // without a script it was UTC
  if (chosen && !isNaN(new Date(chosen))) {
    const at = new Date(chosen);
    instant.value = at.toISOString();
    custom.value = fieldTime(at, custom);
  }
  custom.addEventListener("input", () => {
    instant.value = custom.value && new Date(custom.value).toISOString();
  });
  document.getElementById("zone").textContent =
    `in your zone (${Intl.DateTimeFormat().resolvedOptions().timeZone})`;
}

// Add a row for metadata.
const more = document.getElementById("more-rows");
if (more) {
  const rows = () => more.parentElement.querySelectorAll(".row");
  const limit = () => { more.hidden = rows().length >= 20; };
  limit();
  more.addEventListener("click", () => {
    const last = rows()[rows().length - 1];
    const row = last.cloneNode(true);
    for (const field of row.children) {
      field.value = "";
      field.ariaLabel = field.ariaLabel.replace(/\d+$/, rows().length + 1);
    }
    last.after(row);
    row.firstElementChild.focus();
    limit();
  });
}

// A form is sent once, however often its button is pressed.
for (const form of document.querySelectorAll("form[data-once]")) {
  const button = form.querySelector("[type=submit]");
  form.addEventListener("submit", () => {
    button.disabled = true;
    button.ariaBusy = "true";
  });
  addEventListener("pageshow", () => {
    button.disabled = false;
    button.ariaBusy = null;
  });
}

// Buttons that copy a secret or a command.
function copyable(root) {
  for (const button of root.querySelectorAll("[data-copy][hidden]")) {
    const source = document.getElementById(button.dataset.copy);
    const select = () => getSelection().selectAllChildren(source);
    source.addEventListener("focus", select);
    const words = button.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      let copied = true;
      try {
        await navigator.clipboard.writeText(source.textContent);
      } catch { // no TLS, or not allowed
        select();
        copied = document.execCommand("copy");
      }
      button.textContent = copied ? "Copied" : "Press Ctrl+C";
      announce(copied ? "Copied" : "It is selected. Press Ctrl+C to copy it.");
      setTimeout(() => { button.textContent = words; }, 3000);
    });
  }
}
document.addEventListener("htmx:load", (event) => copyable(event.target));
copyable(document);

// The page that shows a secret once.
const stored = document.getElementById("stored");
if (stored) {
  let hidden = false;
  const ask = (event) => event.preventDefault();
  addEventListener("beforeunload", ask);
  stored.addEventListener("submit", (event) => {
    event.preventDefault();
    removeEventListener("beforeunload", ask);
    location.replace(stored.action); // so that going back does not return here
  });
  addEventListener("pagehide", () => { // the browser may keep the page for going back
    hidden = true;
    removeEventListener("beforeunload", ask);
    document.querySelectorAll("[data-secret]").forEach((secret) => secret.replaceChildren());
  });
  addEventListener("pageshow", () => {
    if (hidden) {
      location.replace(stored.action);
    }
  });
}

// An owner link carries its token in the fragment, which no server sees. Send it, and keep it out of the history.
const link = document.getElementById("link-form");
if (link) {
  const token = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
  if (token) {
    link.elements.token.value = token;
    link.submit();
  } else {
    link.querySelector("[data-opening]").hidden = true;
    link.querySelector("[data-incomplete]").hidden = false;
    addEventListener("hashchange", () => location.reload());
  }
}
