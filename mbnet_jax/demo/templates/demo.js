// A button with a number, of a list that may be replaced, tells the server its number.
element.addEventListener("click", (event) => {
  const chosen = event.target.closest("button[data-number]");
  if (!chosen) return;
  for (const button of element.querySelectorAll("button[data-number]")) {
    button.setAttribute("aria-pressed", button === chosen);
  }
  trigger("click", { number: Number(chosen.dataset.number) });
});
