// Start the slides; make a formula as wide and a slide as high as there is room for.
Reveal.initialize({
  hash: true, width: 1280, height: 720, margin: 0.04, center: false,
  transition: "none", controls: false, slideNumber: "c/t",
});
const HEIGHT = 700;
const fonts = Promise.allSettled([...document.fonts].map((font) => font.load()));
const fit = async () => {
  await fonts; // a formula is measured in its own letters
  for (const slide of document.querySelectorAll(".fit")) {
    if (!slide.offsetHeight || slide.dataset.fits) continue; // not shown yet, or done
    slide.dataset.fits = "yes";
    for (const formula of slide.querySelectorAll(".katex-display")) {
      const share = formula.clientWidth / formula.querySelector(".katex-html").scrollWidth;
      if (share < 1) formula.style.fontSize = `${0.97 * share}em`;
    }
    if (slide.offsetHeight > HEIGHT) slide.style.zoom = HEIGHT / slide.offsetHeight;
  }
};
for (const event of ["ready", "slidechanged", "pdf-ready"]) Reveal.on(event, fit);
