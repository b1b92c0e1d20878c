// One search over all contents: kiwix-serve is asked once for each language, and its answers are shown in turn.
"use strict";

const form = document.querySelector("form");
const field = document.getElementById("pattern");
const language = document.getElementById("language");
const results = document.getElementById("results");
const told = document.getElementById("told");
const found = document.getElementById("found");
const EVERY = "";
const PAGE_LENGTH = 25;
let latest = 0; // number of the question that was asked last: answers to others are left unread

const every = new Option(language.dataset.every, EVERY);
const codes = Array.from(language.options, (option) => option.value);
language.prepend(every);
language.value = EVERY;

async function ask(pattern, code) {
  const question = new URLSearchParams({ pattern, "books.filter.lang": code, format: "xml", pageLength: PAGE_LENGTH });
  const answer = await fetch(`${form.getAttribute("action")}?${question}`);
  if (!answer.ok) throw new Error(answer.status);
  const feed = new DOMParser().parseFromString(await answer.text(), "text/xml");
  const text = (item, name) => item.querySelector(name)?.textContent.trim() ?? "";
  return {
    total: Number(feed.getElementsByTagNameNS("*", "totalResults")[0]?.textContent) || 0,
    items: Array.from(feed.querySelectorAll("item"), (item) => ({
      title: text(item, "title"),
      link: text(item, "link"),
      words: text(item, "description"),
      book: text(item, "book > title"),
    })),
  };
}

// First the best page of each language, then the second best: their scores can't be compared.
function inTurn(answers) {
  const pages = new Map();
  for (let rank = 0; rank < PAGE_LENGTH; rank += 1) {
    for (const { items } of answers) {
      const item = items[rank];
      if (item && item.link.startsWith("/") && !item.link.startsWith("//")) pages.set(item.link, item);
    }
  }
  return [...pages.values()];
}

function show(item) {
  const entry = document.createElement("li");
  const link = document.createElement("a");
  link.href = item.link;
  link.textContent = item.title || item.link;
  entry.append(link);
  for (const [name, text] of [["words", item.words], ["book", item.book]]) {
    if (!text) continue;
    const line = document.createElement("p");
    line.className = name;
    line.textContent = text;
    entry.append(line);
  }
  return entry;
}

async function search() {
  const pattern = field.value.trim();
  const question = (latest += 1);
  found.replaceChildren();
  results.hidden = !pattern;
  if (!pattern) return;
  told.textContent = results.dataset.searching;
  const wanted = language.value === EVERY ? codes : [language.value];
  const settled = await Promise.allSettled(wanted.map((code) => ask(pattern, code)));
  if (question !== latest) return;
  const answers = settled.filter(({ status }) => status === "fulfilled").map(({ value }) => value);
  const pages = inTurn(answers);
  const total = Math.max(pages.length, answers.length === 1 ? answers[0].total : pages.length);
  found.append(...pages.map(show));
  if (pages.length) told.textContent = results.dataset.found.replace("{count}", total);
  else told.textContent = answers.length === wanted.length ? results.dataset.nothing : results.dataset.failed;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const kept = new URLSearchParams({ q: field.value.trim(), lang: language.value });
  history.pushState(null, "", `?${kept}`);
  search();
});

function asTheAddressSays() {
  const asked = new URLSearchParams(location.search);
  field.value = asked.get("q") ?? "";
  language.value = codes.includes(asked.get("lang")) ? asked.get("lang") : EVERY;
  search();
}

window.addEventListener("popstate", asTheAddressSays);
asTheAddressSays();
