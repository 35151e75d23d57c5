/* A tap or Enter on a figure enlarges it; without this script the link shows its file. */
(() => {
  const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
  const dialog = make("dialog", { className: "zoom" });
  const stage = make("div", { className: "zoom-stage", tabIndex: 0 });
  const bar = make("div", { className: "zoom-bar" });
  const [{ href }] = document.querySelectorAll("a.drawn");
  const download = make("a", { textContent: "Download SVG", href });
  const close = make("button", { type: "button", textContent: "Close" });
  stage.setAttribute("role", "group");
  bar.append(download, close);
  dialog.append(stage, bar);
  document.body.append(dialog);
  let opener;

  const enlarge = (link) => {
    const image = [...link.querySelectorAll("img")].find((one) => one.offsetParent);
    if (!image) return false;
    opener = link;
    const number = link.closest("figure")?.querySelector(".caption-number")?.textContent;
    const name = number?.trim() || "Figure";
    dialog.setAttribute("aria-label", `${name}, enlarged`);
    stage.setAttribute("aria-label", name);
    const [width, height] = ["width", "height"].map((side) => Number(image.getAttribute(side)));
    const large = make("img", { src: image.src, alt: image.alt, width, height });
    large.style.setProperty("--zoom-ratio", width / height);
    stage.replaceChildren(large);
    download.href = link.href; // the light one: it is for paper and slides
    download.download = link.pathname.split("/").pop().replace("-light", "");
    dialog.showModal();
    close.focus();
    return true;
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.drawn");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (enlarge(link)) event.preventDefault();
  });
  close.addEventListener("click", () => dialog.close());
  stage.addEventListener("click", ({ target }) => { if (target === stage) dialog.close(); });
  dialog.addEventListener("close", () => {
    stage.replaceChildren();
    opener.focus({ preventScroll: true });
  });

  // On paper figures are light, whatever the mode: their files have to be there in time.
  addEventListener("beforeprint", () =>
    document.querySelectorAll(".drawn-light img").forEach((image) => { image.loading = "eager"; }));
})();
