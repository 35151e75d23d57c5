// Make what is wider than the paper as wide as the paper, while media print is emulated.
(() => {
  const least = 0.55; // smaller text cannot be read: it wraps instead
  const shrink = (thing, wide, room) => {
    if (wide <= room) return;
    const size = parseFloat(getComputedStyle(thing).fontSize);
    thing.style.fontSize = `${size * Math.max(least, (0.99 * room) / wide)}px`;
  };
  for (const box of document.querySelectorAll(".pst-scrollable-table-container")) {
    const table = box.querySelector("table");
    for (let i = 0; i < 3; i += 1) shrink(table, table.offsetWidth, box.clientWidth);
    if (table.offsetWidth > box.clientWidth) table.classList.add("too-wide");
  }
  for (const formula of document.querySelectorAll(".katex-display")) {
    const inner = formula.querySelector(".katex-html");
    if (inner) shrink(formula.firstElementChild, inner.scrollWidth, formula.clientWidth);
  }
})();
