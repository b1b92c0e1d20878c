// The recipe's form: searches the catalogue while one types, moves what is ticked to the picks, sums sizes.
// Without it the search button sends the form, and the server answers with the same form and what it found.

const PAUSE_MS = 250;

const picker = document.querySelector("[data-picker]");
const picks = picker.querySelector("[data-picked]");
const results = picker.querySelector("[data-results]");
const sum = picker.querySelector("[data-sum]");
const words = picker.querySelector("#q");
const language = picker.querySelector("#lang");
const button = picker.querySelector("button[name=do]");
const fit = document.querySelector("[data-fit]");
const sizeField = document.getElementById("size");
const baseField = document.getElementById("base");

let timer = 0;
let asked = 0;
let fitAsked = 0;

button.hidden = true;
words.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(search, PAUSE_MS);
});
words.addEventListener("keydown", (event) => {
  if (event.key === "Enter") {
    event.preventDefault();
    search();
  }
});
language.addEventListener("change", search);
picker.addEventListener("change", (event) => {
  if (event.target.name === "contents") {
    move(event.target.closest("li"), event.target.checked);
  }
});
for (const shown of document.querySelectorAll("[data-shows]")) {
  const field = document.getElementById(shown.dataset.shows);
  field.addEventListener("input", () => (shown.textContent = field.value));
}
sizeField.addEventListener("change", tellFit);
baseField.addEventListener("change", tellFit);
tellSum();

async function search() {
  clearTimeout(timer);
  const mine = ++asked;
  results.setAttribute("aria-busy", "true");
  try {
    const told = await ask(picker.dataset.picker, { q: words.value, lang: language.value });
    if (mine === asked) {
      results.innerHTML = told.html ?? "";
      if (!told.html) {
        results.textContent = told.sentence ?? "Your session has ended: save after logging in again in another tab.";
      }
    }
  } catch {
    results.textContent = "The catalogue does not answer. Try again in a moment.";
  } finally {
    results.removeAttribute("aria-busy");
  }
}

function move(row, picked) {
  const box = row.querySelector("input");
  if (picked) {
    picks.append(row);
  } else {
    row.remove();
    search();
  }
  box.focus();
  tellSum();
  tellFit();
}

async function tellFit() {
  const mine = ++fitAsked;
  fit.setAttribute("aria-busy", "true");
  try {
    const told = await ask(fit.dataset.fit, { size: sizeField.value, base: baseField.value });
    if (mine === fitAsked) {
      fit.innerHTML = told.html ?? "";
    }
  } catch {
    fit.textContent = "";
  } finally {
    fit.removeAttribute("aria-busy");
  }
}

async function ask(address, fields) {
  const query = new URLSearchParams(fields);
  for (const row of picks.children) {
    query.append("contents", row.dataset.ident);
  }
  const answer = await fetch(`${address}?${query}`, { headers: { Accept: "application/json" } });
  return answer.json();
}

function tellSum() {
  const sizes = [...picks.children].map((row) => Number(row.dataset.size));
  const total = sizes.reduce((one, other) => one + other, 0);
  sum.textContent = sizes.length ? `${sizes.length} picked · ${size(total)}` : "";
}

function size(bytes) {
  for (const [unit, worth] of [["TB", 1e12], ["GB", 1e9], ["MB", 1e6]]) {
    if (bytes >= worth) {
      const number = bytes / worth;
      return `${number.toFixed(number >= 99.5 ? 0 : 1)} ${unit}`;
    }
  }
  return `${Math.round(bytes / 1000)} kB`;
}
