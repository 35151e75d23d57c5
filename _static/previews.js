/* A card beside a link that shows what it leads to: a work, an equation, a figure, an
   exercise. For a mouse and the keyboard; a tap follows the link. */
(() => {
  const article = document.querySelector("article.bd-article");
  if (!article) return;
  const LINKS = ".bibtex-citation a, a.reference[href^='#']";
  const TARGETS = "div.math, figure, .exercise, .proof, table";
  const root = document.documentElement.dataset.content_root ?? "./";
  let works, card, link, timer;

  const work = async (id) => {
    works ??= fetch(`${root}_static/works.json`).then((answer) => (answer.ok ? answer.json() : {})).catch(() => ({}));
    const html = (await works)[id];
    return html && Object.assign(document.createElement("p"), { innerHTML: html });
  };

  // A copy without ids, scripts, and what answers a click.
  const copy = (id) => {
    const target = document.getElementById(id)?.closest(TARGETS);
    if (!target) return null;
    const node = target.cloneNode(true);
    node.querySelectorAll("script, .headerlink, button, details").forEach((part) => part.remove());
    node.querySelectorAll("[tabindex], input").forEach((part) => { part.tabIndex = -1; });
    [node, ...node.querySelectorAll("[id]")].forEach((part) => part.removeAttribute("id"));
    return node;
  };

  const hide = () => {
    clearTimeout(timer);
    card?.remove();
    link?.removeAttribute("aria-describedby");
    card = link = null;
  };

  const put = () => {
    const from = link.getClientRects()[0], size = card.getBoundingClientRect();
    const above = from.top > size.height + 12 && from.bottom + size.height + 12 > innerHeight;
    const left = Math.max(8, Math.min(from.left, document.documentElement.clientWidth - size.width - 8));
    card.style.left = `${left + scrollX}px`;
    card.style.top = `${(above ? from.top - size.height - 6 : from.bottom + 6) + scrollY}px`;
  };

  const show = async (wanted) => {
    if (wanted === link) return;
    hide();
    link = wanted;
    const id = decodeURIComponent(link.hash.slice(1));
    const content = link.matches(".bibtex-citation a") ? await work(id) : copy(id);
    if (!content || link !== wanted || card) return; // left meanwhile, or asked for twice
    card = Object.assign(document.createElement("div"), { id: "preview", className: "preview" });
    card.setAttribute("role", "tooltip");
    card.append(content);
    card.addEventListener("pointerenter", () => clearTimeout(timer));
    card.addEventListener("pointerleave", soon);
    article.append(card);
    put();
    link.setAttribute("aria-describedby", "preview");
  };

  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(hide, 250); // time to reach the card
  };
  const linkOf = ({ target }) => target.closest?.(LINKS);

  article.addEventListener("pointerover", (event) => {
    const over = linkOf(event);
    if (!over || event.pointerType !== "mouse") return;
    clearTimeout(timer);
    timer = setTimeout(show, 120, over);
  });
  article.addEventListener("pointerout", (event) => { if (linkOf(event)) soon(); });
  article.addEventListener("focusin", (event) => {
    const focused = linkOf(event);
    if (focused?.matches(":focus-visible")) show(focused);
  });
  article.addEventListener("focusout", (event) => { if (linkOf(event)) hide(); });
  addEventListener("keydown", ({ key }) => { if (key === "Escape") hide(); });
})();
