/* Put what a cell has shown in place of what is stored, and say whether it is the same. */
const PICTURE = "image/svg+xml", GROUND = / style="background:[^"]*"/;
const HIDDEN = ["glue", PICTURE]; // not compared as part of the page
const plain = (text) => text.replace(/\s+/g, " ").trim();
const make = (tag, className, text) =>
  Object.assign(document.createElement(tag), { className }, text === undefined ? {} : { textContent: text });

/* --- Markdown: what tables and sentences of the pages use --- */
const SIGNS = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
const inline = (text) => text.replace(/[&<>]/g, (sign) => SIGNS[sign])
  .replace(/`([^`]+)`/g, "<code>$1</code>")
  .replace(/\*\*(.+?)\*\*/g, "<strong>$1</strong>")
  .replace(/\*(\S.*?)\*/g, "<em>$1</em>");
const rows = (text) => text.trim().split("\n").filter((line) => line.startsWith("|"))
  .map((line) => line.trim().slice(1, -1).split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|")));
const grid = (table) => [...table.rows].map((row) => [...row.cells]);
const fits = (a, b) => a.length === b.length && a.every((row, i) => row.length === b[i].length);

/* A table like the stored one is that one, but for the cells that differ. */
const table = (text, before, kept) => {
  const [head, rule, ...body] = rows(text), fresh = [head, ...body];
  const [oldHead, , ...oldBody] = before ? rows(before) : [[]], old = [oldHead, ...oldBody];
  const model = kept && kept.querySelector("table");
  if (model && fits(fresh, old) && fits(fresh, grid(model))) {
    const copy = kept.cloneNode(true);
    grid(copy.querySelector("table")).forEach((row, i) => row.forEach((cell, j) => {
      if (fresh[i][j] === old[i][j]) return;
      (cell.querySelector("p") ?? cell).innerHTML = inline(fresh[i][j]);
      cell.classList.add("run-changed");
      cell.classList.remove("dot"); // its place was that of the stored number
    }));
    return copy;
  }
  const made = make("table", "table"), box = make("div", "pst-scrollable-table-container");
  fresh.forEach((cells, i) => {
    const row = (i ? made.tBodies[0] ?? made.createTBody() : made.createTHead()).insertRow();
    cells.forEach((cell, j) => {
      const place = row.appendChild(make(i ? "td" : "th", rule[j].endsWith(":") ? "text-right" : "text-left"));
      place.innerHTML = inline(cell);
    });
  });
  box.append(made);
  return box;
};

const markdown = (text, before, kept) => {
  const code = text.match(/^```\w*\n([\s\S]*?)\n```$/);
  if (code) return [make("pre", "", code[1])];
  const seen = text.replace(/<!--.*?-->/gs, ""); // what `show.dots` draws is said in a comment
  return seen.split(/\n{2,}/).filter((part) => part.trim()).map((part) => {
    if (part.startsWith("|")) return table(part, before?.split(/\n{2,}/).find((p) => p.startsWith("|")), kept);
    if (part.startsWith("- ")) {
      const list = make("ul", "");
      list.innerHTML = part.split("\n").map((line) => `<li>${inline(line.slice(2))}</li>`).join("");
      return list;
    }
    const paragraph = make("p", "");
    paragraph.innerHTML = inline(part);
    return paragraph;
  });
};

/* --- pictures: both widths in both modes, as the site has them --- */
const address = (text) => URL.createObjectURL(new Blob([text], { type: PICTURE }));
const picture = (link, output, dark) => {
  const shades = new RegExp(Object.keys(dark).join("|"), "g");
  for (const mode of ["light", "dark"]) {
    const of = (text) => {
      const bare = text.replace(GROUND, "");
      return address(mode === "dark" ? bare.replace(shades, (color) => dark[color]) : bare);
    };
    const place = link.querySelector(`.drawn-${mode}`), image = place.querySelector("img");
    place.querySelector("source").srcset = of(output.narrow);
    image.loading = "eager";
    image.src = of(output.text);
    if (mode === "light") link.href = image.src;
  }
};
const newPicture = (output) => {
  const figure = make("figure", "run-figure");
  figure.append(Object.assign(make("img", ""), { src: address(output.text), alt: "Figure of an edited cell" }));
  return figure;
};

const element = (output, before, kept) => {
  if (output.kind === "text/markdown") return markdown(output.text, before?.text, kept);
  if (output.kind === "text/html") return [document.createRange().createContextualFragment(output.text)];
  return [make("pre", output.kind === "error" ? "run-error" : "", output.text)];
};

/* Fill the place of a cell's output; return what is to be said of it. */
export const show = (place, outputs, cell, dark) => {
  place.kept ??= [...place.childNodes];
  const absent = outputs.find(({ kind, name }) => kind === "error" && name === "NotHereError");
  if (absent) {
    place.replaceChildren(...place.kept);
    return { absent: absent.text.split("NotHereError: ").pop(), figures: 0, glued: 0, moved: [] };
  }
  const seen = outputs.filter(({ kind }) => !HIDDEN.includes(kind));
  const old = cell.outputs.filter(({ kind }) => !HIDDEN.includes(kind));
  const figures = outputs.filter(({ kind }) => kind === PICTURE);
  const links = place.kept.flatMap((node) => [...(node.querySelectorAll?.("a.drawn") ?? [])]);
  const same = seen.length === old.length && seen.every(({ kind, text }, i) =>
    kind === old[i].kind && plain(text) === plain(old[i].text));
  figures.slice(0, links.length).forEach((output, i) => picture(links[i], output, dark));
  const more = figures.slice(links.length).map(newPicture);
  if (same) place.replaceChildren(...place.kept, ...more);
  else {
    const boxes = place.kept.filter((node) => node.matches?.(".pst-scrollable-table-container"));
    const drawn = place.kept.filter((node) => node.querySelector?.("a.drawn"));
    const tables = seen.filter(({ text }) => text.startsWith("|"));
    place.replaceChildren(...drawn, ...more, ...seen.flatMap((output, i) =>
      element(output, old[i], boxes[tables.indexOf(output)])));
    if (old.length && !drawn.length) {
      const before = make("details", "run-stored");
      before.append(make("summary", "", "As stored"), ...place.kept);
      place.append(before);
    }
  }
  const numbers = (list) => Object.fromEntries(list.filter(({ kind }) => kind === "glue").map((o) => [o.name, o.text]));
  const stored = numbers(cell.outputs), glued = Object.entries(numbers(outputs));
  return {
    same, compared: old.length, figures: figures.length, glued: glued.length,
    moved: glued.filter(([name, text]) => stored[name] !== text).map(([name]) => name),
    failed: outputs.find(({ kind }) => kind === "error")?.name,
  };
};
