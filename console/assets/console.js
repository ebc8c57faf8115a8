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

// Keys that do something anywhere but in a field: "/" searches, "n" makes a new key. They
// can be switched off, for who speaks to the browser (WCAG 2.2, 2.1.4).
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
      event.preventDefault(); // Escape would stop the very page that is asked for
      leave.click();
    }
    return;
  }
  if (typing || localStorage.getItem(shortcutsOff)) {
    return;
  }
  const target = document.querySelector(`[data-shortcut="${CSS.escape(event.key)}"]`);
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

// The dialog of shortcuts, and any other that a button opens.
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

// Several keys chosen in the table: how many, and all of them at once.
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
window.addEventListener("pageshow", countChosen); // a browser that goes back ticks them again

// A countdown goes on from what the server said. What it ends is asked for anew.
function countDown(counter) {
  const end = Date.now() + counter.dataset.countdown * 1000;
  const timer = setInterval(() => {
    const left = Math.max(0, Math.ceil((end - Date.now()) / 1000));
    const days = Math.floor(left / 86400);
    const two = (n) => String(Math.floor(n) % 60).padStart(2, "0");
    counter.textContent = (days === 0 ? "" : days === 1 ? "1 day " : `${days} days `) +
      `${Math.floor(left / 3600) % 24}:${two(left / 60)}:${two(left)}`;
    if (left === 0) {
      clearInterval(timer);
      announce("The old secret works no more.");
      htmx.ajax("GET", location.href, { target: "#key", select: "#key", swap: "outerHTML", headers: { "Console-Poll": "1" } });
    }
  }, 1000);
}
for (const counter of document.querySelectorAll("[data-countdown]")) {
  countDown(counter);
}
