/* How results are ranked and shown: sections first, at most three of a page before the
   others; then names of the library. Sphinx parses the query and looks for the names. */
{
  const SHOWN = 30, PER_PAGE = 3;
  const index = () => Search._index;

  // As wording.py splits a text, but a name is replaced by the word for all its names:
  // a page that has another one is found as well.
  splitQuery = (query) => {
    let text = query.toLowerCase();
    for (const [found, form] of SPELLINGS) text = text.replace(RegExp(found, "g"), form);
    for (const [word, names] of SAME) text = text.replace(RegExp(names, "g"), ` ${word} `);
    return text.match(/[\p{L}\p{N}_]+/gu) ?? [];
  };

  // Pairs of section and weight of a word; of none, those of all that begin with it.
  const pairs = (term) => {
    const { words } = index();
    if (Object.hasOwn(words, term)) return words[term];
    if (term.length < 3) return [];
    return Object.keys(words).filter((word) => word.startsWith(term)).flatMap((word) => words[word]);
  };

  // Sections that have all words or, if there is none, as many as any has.
  const sections = (terms) => {
    const found = new Map();
    for (const term of terms) {
      const own = new Map(), list = pairs(term);
      for (let i = 0; i < list.length; i += 2) own.set(list[i], Math.max(list[i + 1], own.get(list[i]) ?? 0));
      const rare = Math.log(1 + index().sections.length / (1 + own.size));
      for (const [place, weight] of own) {
        const [n, sum] = found.get(place) ?? [0, 0];
        found.set(place, [n + 1, sum + weight * rare]);
      }
    }
    const most = Math.max(0, ...[...found.values()].map(([n]) => n));
    return [...found].filter(([, [n]]) => n === most).sort((a, b) => b[1][1] - a[1][1] || a[0] - b[0]);
  };

  const sectionResults = (terms) => {
    const first = [], rest = [], seen = new Map();
    for (const [place] of sections(terms)) {
      const [page, anchor, title, text] = index().sections[place];
      const n = (seen.get(page) ?? 0) + 1;
      seen.set(page, n);
      const where = anchor ? index().titles[page] : "";
      (n > PER_PAGE ? rest : first).push({ page: index().docnames[page], anchor, title, where, text });
    }
    return [...first, ...rest];
  };

  const nameResults = (terms) => {
    const all = [...terms].flatMap((term) => Search.performObjectSearch(term, terms));
    const found = new Map(all.sort((a, b) => b[4] - a[4]).map((result) => [result[2], result]).reverse());
    return [...found.values()].reverse().map(([page, title, anchor, where]) =>
      ({ page, anchor: anchor.slice(1), title, where, text: "", name: true }));
  };

  // A dot or an underscore inside: the reader has a name of the library.
  Search.results = (query) => {
    const [, terms, , , names] = Search._parseQuery(query);
    localStorage.removeItem("sphinx_highlight_terms"); // found.js marks, and less
    const groups = [sectionResults(terms), nameResults(names)];
    return (/\w[._]\w/.test(query) ? groups.reverse() : groups).flat();
  };

  const element = (name, text, more = {}) => Object.assign(document.createElement(name), { textContent: text, ...more });

  const item = ({ page, anchor, title, where, text, name }, query) => {
    const line = document.createElement("li");
    const href = page + DOCUMENTATION_OPTIONS.LINK_SUFFIX + (anchor && `#${anchor}`);
    const link = element("a", title, { href });
    link.addEventListener("click", () => localStorage.setItem("found", query));
    link.addEventListener("auxclick", () => localStorage.setItem("found", query));
    line.append(link);
    if (where) line.append(element("span", name ? ` ${where}` : ` in ${where}`, { className: "where" }));
    if (text) line.append(element("p", text, { className: "context" }));
    return line;
  };

  Search.query = (query) => {
    const all = Search.results(query);
    const show = (results) => Search.output.append(...results.map((one) => item(one, query)));
    document.getElementById("search-progress")?.replaceChildren();
    Search.stopPulse();
    Search.title.textContent = "Search Results";
    Search.status.textContent = all.length
      ? `${all.length} result${all.length > 1 ? "s" : ""}, the nearest first.`
      : "Nothing has these words. Try fewer or other ones.";
    show(all.slice(0, SHOWN));
    if (all.length <= SHOWN) return;
    const more = element("button", `Show ${all.length - SHOWN} more`, { type: "button", className: "btn btn-sm" });
    more.addEventListener("click", () => {
      more.remove();
      show(all.slice(SHOWN));
    });
    Search.output.after(more);
  };
}
