/* Boxes that scroll sideways can be reached with the keyboard. Before one does, an equation
   becomes smaller, down to 85 %, if then it fits in one line, or its widest part does. */
(() => {
  const fit = (box) => {
    const formula = box.firstElementChild;
    if (!formula) return;
    const size = (scale) => formula.style.setProperty("--fit", Math.min(1, scale).toFixed(3));
    size(1);
    const parts = [...formula.querySelectorAll(".base")].map(({ offsetWidth }) => offsetWidth + 1);
    const scale = box.clientWidth / parts.reduce((sum, width) => sum + width, 0);
    size(scale >= 0.85 ? scale : Math.max(0.85, box.clientWidth / box.scrollWidth - 0.001));
  };
  const watch = new ResizeObserver((entries) => requestAnimationFrame(() => {
    for (const { target } of entries) {
      if (target.matches(".katex-display:has(.katex)")) fit(target);
      if (target.scrollWidth > target.clientWidth + 1) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  }));
  addEventListener("DOMContentLoaded", () =>
    document.querySelectorAll(".pst-scrollable-table-container, .katex-display").forEach((box) => watch.observe(box)));
})();

/* The switch "All code" opens or closes every fold of code, here and on other pages. */
(() => {
  const button = document.querySelector(".code-switch");
  if (!button) return;
  const show = (all) => {
    button.setAttribute("aria-pressed", String(all));
    document.querySelectorAll(".code-fold").forEach((fold) => { fold.open = all; });
  };
  const follow = () => {
    const all = localStorage.getItem("code") === "all";
    if (all !== (button.getAttribute("aria-pressed") === "true")) show(all);
  };
  button.addEventListener("click", () => {
    const all = button.getAttribute("aria-pressed") !== "true";
    show(all);
    if (all) localStorage.setItem("code", "all");
    else localStorage.removeItem("code");
  });
  addEventListener("storage", follow); // pressed in another tab
  addEventListener("pageshow", follow); // or before a reader came back to this page
})();
