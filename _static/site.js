/* Boxes that scroll sideways can be reached with the keyboard. */
(() => {
  const watch = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth + 1) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  addEventListener("DOMContentLoaded", () =>
    document.querySelectorAll(".pst-scrollable-table-container, .katex-display").forEach((box) => watch.observe(box)));
})();
