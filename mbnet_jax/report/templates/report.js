"use strict";
// Shows the queries and lists chosen in the form. The address keeps the choice.
const form = document.getElementById("filters");
const cards = [...document.querySelectorAll(".card")];

function show() {
  const chosen = Object.fromEntries(new FormData(form));
  let count = 0, total = 0;
  for (const card of cards) {
    let visible = null;
    for (const list of card.querySelectorAll(".list")) {
      const fits =
        list.dataset.rule === chosen.rule && list.dataset.embedding === chosen.embedding;
      list.hidden = !fits;
      if (fits) visible = list;
    }
    const fits = visible
      && (!chosen.verdict || visible.dataset.verdict === chosen.verdict)
      && (!chosen.kind || card.dataset.kinds.split(" ").includes(chosen.kind));
    card.hidden = !fits;
    if (visible) total += 1;
    if (fits) count += 1;
  }
  document.getElementById("count").textContent =
    `${count} of ${total} queries shown` + (count ? "" : "; change a filter to see more");
}

function remember() {
  const chosen = new URLSearchParams(new FormData(form));
  // Replaces the entry in the history, so that "back" leaves the page.
  location.replace("#" + chosen);
}

function recall() {
  const text = location.hash.slice(1);
  if (!text.includes("=")) return; // the address of a section
  for (const [name, value] of new URLSearchParams(text)) {
    const field = form.elements.namedItem(name);
    if (field && [...field.options].some((option) => option.value === value)) {
      field.value = value;
    }
  }
}

if (form) {
  form.hidden = false;
  form.addEventListener("change", () => { show(); remember(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => { recall(); show(); });
  recall();
  show();
}
