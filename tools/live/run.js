/* "Run this page": Python in the reader's browser runs the cells, in order or one by one. */
import { show } from "./show.js";

const HERE = new URL("./", import.meta.url);
const told = (name) => document.querySelector(`meta[name="run-${name}"]`)?.content;
const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
const page = told("page"), article = document.querySelector("article.bd-article");
const bar = make("div", { className: "run-bar" });
const say = make("p", { className: "run-status" });
(article.querySelector(".page-facts") ?? article.querySelector("h1")).after(bar);

const runnable = () => {
  const all = make("button", { type: "button", className: "run-all", textContent: "Run this page" });
  const stop = make("button", { type: "button", textContent: "Stop", hidden: true });
  say.setAttribute("role", "status");
  say.textContent = `Python runs here, in your browser, and computes all results of this page again. It loads ${told("size")} MB, once.`;
  /* How far it is: not said aloud at every cell, but there to be asked for. */
  const far = make("progress", { hidden: true });
  far.setAttribute("aria-label", "Cells that have run");
  bar.append(all, stop, far, say);

  let data, worker, ready, queue = [], current, begun, many;
  const inputs = new Map(), outputs = new Map(), results = new Map(), edited = new Map();
  const source = (i) => edited.get(i)?.value ?? data.cells[i].source;

  const mark = (i, text, kind) => {
    const place = outputs.get(i);
    place.querySelector(":scope > .run-mark")?.remove();
    place.append(make("p", { className: `run-mark run-${kind}`, textContent: text }));
  };
  const placeOf = (i) => {
    if (!outputs.has(i)) {
      const place = make("div", { className: "cell_output docutils container" });
      inputs.get(i)?.after(place);
      outputs.set(i, place);
    }
    return outputs.get(i);
  };

  const take = ({ cell: i, outputs: fresh, seconds }) => {
    const stored = data.cells[i], shown = fresh.some(({ kind }) => kind !== "glue");
    const result = { seconds, ...show(shown || outputs.has(i) ? placeOf(i) : make("div", {}), fresh, stored, data.dark) };
    results.set(i, result);
    // The rest would fail, too, but what is asserted or timed is asked for by no other cell.
    if (result.failed && result.failed !== "AssertionError" && !stored.timing) queue = [];
    if (!outputs.has(i)) return;
    const changed = edited.has(i) && edited.get(i).value !== stored.source;
    if (result.absent) mark(i, `Not run, as stored: ${result.absent}`, "fresh");
    else if (result.failed) mark(i, "Fresh: this cell failed", "failed");
    else if (stored.timing) mark(i, "Fresh: times of this browser, not compared", "fresh");
    else if (changed) mark(i, `Fresh, of your code${result.same ? "" : ": not what is stored"}`, "fresh");
    else if (!result.compared) mark(i, result.figures ? "Fresh: drawn again" : "Fresh", "fresh");
    else if (result.same) mark(i, "Fresh: the same as stored", "same");
    else mark(i, "Fresh: differs from what is stored", "differs");
  };

  const summary = () => {
    const seconds = ((performance.now() - begun) / 1000).toFixed(0);
    const of = [...results].filter(([i]) => !data.cells[i].timing).map(([, result]) => result);
    const compared = of.filter((result) => result.compared), same = compared.filter((result) => result.same);
    const glued = of.reduce((sum, result) => sum + result.glued, 0);
    const moved = of.reduce((sum, result) => sum + result.moved.length, 0);
    const figures = of.reduce((sum, result) => sum + result.figures, 0);
    const failed = [...results.values()].filter((result) => result.failed).length;
    return `Done in ${seconds} s: ${same.length} of ${compared.length} results as stored, ` +
      `${glued - moved} of ${glued} numbers of the text, ${figures} figures drawn again` +
      (failed ? `; ${failed} ${failed === 1 ? "cell" : "cells"} failed.` : ".") +
      (data.cells.some((cell) => cell.timing) ? " Times are those of this browser, and what follows from them." : "") +
      " You can change the code below each result and run it.";
  };

  const next = () => {
    if (!ready || current !== undefined) return;
    current = queue.shift();
    if (current === undefined) {
      bar.dataset.state = "done";
      stop.hidden = far.hidden = true;
      all.disabled = false;
      all.textContent = "Run all again";
      say.textContent = many ? summary() : "Done.";
      return;
    }
    if (bar.dataset.state !== "running") say.textContent = many ? "Running the cells in order …" : `Running cell ${current + 1} …`;
    bar.dataset.state = "running";
    stop.hidden = far.hidden = false;
    all.disabled = true;
    Object.assign(far, { max: data.cells.length, value: many ? current : 0 });
    worker.postMessage({ cell: current, source: source(current) });
  };

  const end = (text) => {
    worker?.terminate();
    worker = current = undefined;
    ready = false;
    queue = [];
    stop.hidden = far.hidden = true;
    all.disabled = false;
    bar.dataset.state = "stopped";
    say.textContent = text;
  };

  const start = async () => {
    bar.dataset.state = "loading";
    all.disabled = true;
    stop.hidden = false;
    say.textContent = "Loading Python …";
    begun = performance.now();
    try {
      data ??= await (await fetch(new URL(`pages/${page}.json`, HERE))).json();
      if (bar.dataset.state !== "loading") return; // stopped meanwhile
      worker = new Worker(new URL("worker.js", HERE), { type: "module" });
    } catch (error) {
      end(`This page could not be run: ${error.message}`);
      return;
    }
    worker.onerror = (error) => end(`Python did not start: ${error.message ?? "the script was not found"}`);
    worker.onmessage = ({ data: message }) => {
      if (message.status) say.textContent = message.status;
      else if (message.failed) end(`Python has stopped: ${message.failed}`);
      else if (message.ready) {
        ready = true;
        bar.dataset.ready = ((performance.now() - begun) / 1000).toFixed(1);
        tools();
        next();
      } else {
        take(message);
        current = undefined;
        next();
      }
    };
    worker.postMessage({ page });
  };

  /* One cell; without a number, and where Python has no names yet, all of them. */
  const run = async (cell) => {
    const whole = cell === undefined || !worker;
    many = whole || (current !== undefined && many);
    if (whole) results.clear();
    if (!worker) await start();
    else if (whole) begun = performance.now();
    if (!worker) return;
    queue.push(...(whole ? data.cells.keys() : [cell]));
    next();
  };

  /* Below each code: a button that makes it a field, and one that runs it. */
  const tools = () => inputs.forEach((place, i) => {
    if (place.querySelector(".run-tools")) return;
    const shownCode = place.firstElementChild, row = make("div", { className: "run-tools" });
    const edit = make("button", { type: "button", textContent: "Edit" });
    const again = make("button", { type: "button", textContent: "Run" });
    const label = `cell ${i + 1}`;
    edit.setAttribute("aria-label", `Edit ${label}`);
    again.setAttribute("aria-label", `Run ${label}`);
    again.addEventListener("click", () => run(i));
    edit.addEventListener("click", () => {
      const field = edited.get(i);
      if (field) { // back to what is stored
        edited.delete(i);
        field.replaceWith(shownCode);
      } else {
        const area = make("textarea", { className: "run-code", value: data.cells[i].source, spellcheck: false });
        area.rows = area.value.split("\n").length;
        area.setAttribute("aria-label", `Code of ${label}; Control and Enter run it`);
        area.addEventListener("keydown", (event) => {
          if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
          event.preventDefault();
          run(i);
        });
        edited.set(i, area);
        shownCode.replaceWith(area);
        area.focus();
      }
      edit.textContent = field ? "Edit" : "Undo changes";
      edit.setAttribute("aria-label", `${edit.textContent}: ${label}`);
    });
    row.append(again, edit);
    place.append(row);
  });

  document.querySelectorAll("[data-cell]").forEach((place) => inputs.set(Number(place.dataset.cell), place));
  document.querySelectorAll("[data-output]").forEach((place) => outputs.set(Number(place.dataset.output), place));
  all.addEventListener("click", () => run());
  stop.addEventListener("click", () => end("Stopped. What was computed is forgotten: the next run starts afresh."));
};

if (told("not")) {
  say.textContent = `This page does not run in the browser: ${told("not")}`;
  bar.append(say);
} else runnable();
