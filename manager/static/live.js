// Keeps the live part of a page as the server tells it, without reloading the page.
//
// The element with data-live names where the part comes from, and data-every how often to ask (milliseconds).
// The answer is {html, final, title}. What is the same stays in place, so that bars glide, an open part stays
// open and the focus stays where it is.

const SLOWEST_MS = 10000;
const RATE_WINDOW_MS = 15000;

const part = document.querySelector("[data-live]");
const samples = new Map();
let failures = 0;

if (part) {
  showRates();
  plan();
}

function plan() {
  const every = Number(part.dataset.every);
  setTimeout(look, Math.min(SLOWEST_MS, every * 2 ** failures));
}

async function look() {
  if (document.hidden) {
    document.addEventListener("visibilitychange", look, { once: true });
    return;
  }
  try {
    const answer = await fetch(part.dataset.live, { headers: { Accept: "application/json" } });
    if (answer.status === 401) {
      location.reload();
      return;
    }
    if (!answer.ok) {
      throw new Error(answer.statusText);
    }
    const { html, final, title } = await answer.json();
    show(html, title);
    failures = 0;
    part.classList.remove("stale");
    if (final) {
      return;
    }
  } catch {
    failures += 1;
    part.classList.add("stale");
  }
  plan();
}

function show(html, title) {
  const fresh = part.cloneNode(false);
  fresh.innerHTML = html;
  matchChildren(part, fresh);
  if (title) {
    document.title = `${title} · Cardshop`;
  }
  showRates();
}

function matchChildren(old, fresh) {
  const wanted = [...fresh.childNodes];
  const had = [...old.childNodes];
  wanted.forEach((node, index) => {
    const there = had[index];
    if (!there) {
      old.append(node);
    } else if (there.nodeType !== node.nodeType || there.nodeName !== node.nodeName) {
      there.replaceWith(node);
    } else if (node.nodeType === Node.ELEMENT_NODE) {
      matchElement(there, node);
    } else if (there.data !== node.data) {
      there.data = node.data;
    }
  });
  had.slice(wanted.length).forEach((node) => node.remove());
}

function matchElement(old, fresh) {
  if (old.hasAttribute("data-rate")) {
    return;
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) {
      old.setAttribute(name, value);
    }
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open") {
      old.removeAttribute(name);
    }
  }
  matchChildren(old, fresh);
}

// Rate and time left, from what was told over the last seconds.
function showRates() {
  for (const work of part.querySelectorAll("[data-task]")) {
    const { task, phase, done, total, unit, at } = work.dataset;
    const key = `${task} ${phase}`;
    const told = samples.get(key) ?? [];
    const moment = Date.parse(at) || Date.now();
    if (!told.length || told.at(-1).moment < moment) {
      told.push({ moment, done: Number(done) });
    }
    while (told.length > 2 && told[0].moment < moment - RATE_WINDOW_MS) {
      told.shift();
    }
    samples.set(key, told);
    const line = work.querySelector("[data-rate]");
    const text = rate(told, Number(total), unit);
    if (line && line.textContent !== text) {
      line.textContent = text;
    }
  }
}

function rate(told, total, unit) {
  const first = told[0];
  const last = told.at(-1);
  const perSecond = ((last.done - first.done) * 1000) / (last.moment - first.moment);
  if (!(perSecond > 0)) {
    return "";
  }
  const words = unit === "bytes" ? [`${(perSecond / 1e6).toFixed(1)} MB/s`] : [];
  if (total > last.done) {
    words.push(`${span((total - last.done) / perSecond)} left`);
  }
  return words.length ? `· ${words.join(" · ")}` : "";
}

function span(seconds) {
  if (seconds < 60) {
    return `${Math.ceil(seconds)} s`;
  }
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
