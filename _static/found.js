/* From a result of the search to its section: mark the first words that were looked for. */
(() => {
  const query = localStorage.getItem("found");
  if (!query || !document.querySelector("article.bd-article")) return;
  localStorage.removeItem("found");
  const words = query.match(/[\p{L}\p{N}-]{3,}/gu);
  if (!words) return;
  const escaped = words.map((word) => word.replace(/e?s$/, "").replace(/-/g, "[\\s-]?"));
  const wanted = new RegExp(`(?<![\\p{L}\\p{N}])(?:${escaped.join("|")})`, "iu");
  const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const texts = document.createTreeWalker(place ?? document.querySelector("article.bd-article"), NodeFilter.SHOW_TEXT);
  const marks = [];
  while (marks.length < 3 && texts.nextNode()) {
    const text = texts.currentNode, hit = wanted.exec(text.data);
    if (!hit || text.parentElement.closest("pre, script, style, svg, .math, .headerlink, .onlyprint")) continue;
    const range = document.createRange(), mark = document.createElement("mark");
    range.setStart(text, hit.index);
    range.setEnd(text, hit.index + hit[0].length);
    range.surroundContents(mark);
    texts.currentNode = mark.lastChild;
    marks.push(mark);
  }
  addEventListener("keydown", ({ key }) => {
    if (key === "Escape") marks.splice(0).forEach((mark) => mark.replaceWith(...mark.childNodes));
  });
})();
