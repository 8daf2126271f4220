"use strict";
// Shows the queries and lists that the form asks for; what it asks is in the address.
const form = document.getElementById("filters");
const cards = [...document.querySelectorAll(".card")];

function show() {
  const asked = Object.fromEntries(new FormData(form));
  let count = 0, among = 0;
  for (const card of cards) {
    let here = null;
    for (const list of card.querySelectorAll(".list")) {
      const fits =
        list.dataset.rule === asked.rule && list.dataset.embedding === asked.embedding;
      list.hidden = !fits;
      if (fits) here = list;
    }
    const fits = here
      && (!asked.verdict || here.dataset.verdict === asked.verdict)
      && (!asked.kind || card.dataset.kinds.split(" ").includes(asked.kind));
    card.hidden = !fits;
    if (here) among += 1;
    if (fits) count += 1;
  }
  document.getElementById("count").textContent =
    `${count} of ${among} queries shown` + (count ? "" : ": none fits, choose otherwise");
}

function remember() {
  const asked = new URLSearchParams(new FormData(form));
  // In place of the entry before it: "back" leaves the page.
  location.replace("#" + asked);
}

function recall() {
  const text = location.hash.slice(1);
  if (!text.includes("=")) return; // a place on the page
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
