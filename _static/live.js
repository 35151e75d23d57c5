/* Figures that answer: the page's own model, called at every move of the reader's hand.
   A figure holds its default picture, what moves it as JSON, and the model, printed from
   the Python that the tests check. Only the marks are drawn again; the axes stay. */
(() => {
  "use strict";
  const NUDGE = 1 + 1e-12, HALF = 0.5 + 1e-6, FAR = 20, WIDTH = 320, NEAR = 9;

  /* --- words: as deepopt_lib/book/live/words.py --- */
  const trimmed = (text) => text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  const commas = (text) => text.replace(/^\d+/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ","));
  const high = (k) => String(k).replace(/./g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);
  const number = (x, form = "6") => {
    if (!Number.isFinite(x)) return Number.isNaN(x) ? "–" : x > 0 ? "∞" : "−∞";
    const sign = x < 0 ? "−" : "", size = Math.abs(x) * NUDGE;
    if (form[0] === ".") return sign + commas(size.toFixed(form.slice(1)));
    const count = Number(form) - 1, rounded = size.toExponential(count);
    const [head, tail] = rounded.split("e"), power = Number(tail);
    if (size && !(-5 < power && power < 6)) return `${sign}${trimmed(head)} × 10${high(power)}`;
    return sign + trimmed(commas(Number(rounded).toFixed(Math.max(count - power, 0))));
  };
  const said = (value, form) => typeof value === "string" ? value : number(value, form);
  const fill = (template, values) =>
    template.replace(/\{(\w+)(?::(\.?\d+))?\}/g, (_, name, form) => said(values[name], form));

  /* --- places: as frame.py, marks.py and cells.py --- */
  const place = (x) => Math.floor(x * 10 + HALF) / 10;
  const share = ([low, high, log], x) => {
    if (Number.isNaN(x)) return x;
    if (log && x <= 0) return -FAR;
    const part = log ? Math.log(x / low) / Math.log(high / low) : (x - low) / (high - low);
    return Math.min(Math.max(part, -FAR), 1 + FAR);
  };
  const back = ([low, high, log], part) =>
    log ? low * (high / low) ** part : low + part * (high - low);
  const at = ({ x, y, box }, a, b) =>
    [place(share(x, a) * box[2]), place((1 - share(y, b)) * box[3])];
  const columns = (values, keys) => {
    const found = keys.map((key) => typeof key === "string" ? values[key] : key).map(
      (v) => Array.isArray(v) ? v : [v]);
    const most = Math.max(...found.map((v) => v.length));
    return found.map((v) => v.length === 1 ? Array(most).fill(v[0]) : v);
  };
  const hide = (node, hidden) =>
    hidden ? node.setAttribute("visibility", "hidden") : node.removeAttribute("visibility");

  const line = (node, panel, values, keys, steps) => {
    const [xs, ys] = columns(values, keys);
    let d = "", pen = "M";
    for (let i = 0; i < xs.length; i += 1) {
      const [x, y] = at(panel, xs[i], ys[i]);
      if (Number.isNaN(x + y)) { pen = "M"; continue; }
      d += steps && pen === "L" ? `H${x}V${y}` : `${pen}${x} ${y}`;
      pen = "L";
    }
    node.setAttribute("d", d);
  };
  const draw = {
    line: (node, panel, values, keys) => line(node, panel, values, keys, false),
    steps: (node, panel, values, keys) => line(node, panel, values, keys, true),
    points: (node, panel, values, [x, y, outline = "h0"]) => {
      const [xs, ys] = columns(values, [x, y]);
      const dots = xs.map((a, i) => at(panel, a, ys[i])).filter(([a, b]) => !Number.isNaN(a + b));
      node.setAttribute("d", dots.map(([a, b]) => `M${a} ${b}${outline}`).join(""));
    },
    boxes: (node, panel, values, keys) => {
      const [x0, y0, x1, y1] = columns(values, keys);
      node.setAttribute("d", x0.map((x, i) => {
        const [left, low] = at(panel, x, y0[i]), [right, high] = at(panel, x1[i], y1[i]);
        return Number.isNaN(left + low + right + high) ? "" : `M${left} ${low}H${right}V${high}H${left}Z`;
      }).join(""));
    },
    cells: (node, panel, values, [key, texts, most]) => {
      const [group, ...words] = node.children, shades = values[key];
      [...group.children].forEach((cell, i) => {
        const shade = i < shades.length ? shades[i] : NaN;
        const opacity = Math.floor(shade * most * 1000 + 0.5) / 1000;
        hide(cell, Number.isNaN(shade));
        cell.setAttribute("fill-opacity", opacity || 0);
      });
      words.forEach((word, i) => { word.textContent = said(values[texts][i] ?? ""); });
    },
    label: (node, panel, values, [x, y, text]) => {
      const [[a], [b]] = columns(values, [x, y]), [across, down] = at(panel, a, b);
      const hidden = Number.isNaN(across + down);
      hide(node, hidden);
      node.setAttribute("x", hidden ? 0 : across);
      node.setAttribute("y", hidden ? 0 : down);
      node.textContent = fill(text, values);
    },
  };

  /* --- hands: each returns how to read it, to set it, and to put it back --- */
  const make = (tag, attributes, parent) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return parent.appendChild(node);
  };
  const percent = (node, left, top, panel) => {
    node.style.left = `${100 * left / WIDTH}%`;
    node.style.top = `${100 * top / panel.height}%`;
  };
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  const hands = {
    slider: (spec, { form, moved }) => {
      const input = form.querySelector(`input[data-name="${spec.name}"]`);
      const output = input.parentNode.querySelector("output");
      input.addEventListener("input", moved);
      return {
        read: (values) => {
          const value = spec.values[Number(input.value)];
          values[spec.name] = value;
          output.value = `${number(value)} ${spec.unit ?? ""}`.trim();
          input.setAttribute("aria-valuetext", output.value);
        },
      };
    },
    pick: (spec, { form, stages, panels, given, looked }) => {
      const input = form.querySelector(`input[data-name="${spec.name}"]`);
      const output = input.parentNode.querySelector("output");
      const stage = stages[spec.panel], panel = panels[spec.panel], [left, top] = panel.box;
      const [xs, ys] = spec.among.map((name) => given[name]);
      const places = xs.map((x, i) => at(panel, x, ys[i]));
      const nearest = (event, reach) => {
        const outer = stage.getBoundingClientRect(), unit = outer.width / WIDTH;
        const a = (event.clientX - outer.left) / unit - left, b = (event.clientY - outer.top) / unit - top;
        const away = places.map(([x, y]) => Math.hypot(x - a, y - b)), least = Math.min(...away);
        if (least > reach) return;
        input.value = away.indexOf(least);
        looked();
      };
      input.addEventListener("input", looked);
      stage.classList.add("live-plane");
      stage.addEventListener("click", (event) => nearest(event, Infinity));
      stage.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse") nearest(event, NEAR); });
      return {
        read: (values) => {
          const i = values[spec.name] = Number(input.value), words = spec.says.map((name) => given[name][i]);
          output.value = words[0];
          input.setAttribute("aria-valuetext", words.join(", "));
        },
        set: (wanted) => { input.value = wanted; },
      };
    },
    choice: (spec, { form, moved }) => {
      const group = form.querySelector(`fieldset[data-name="${spec.name}"]`);
      group.addEventListener("change", moved);
      return { read: (values) => { values[spec.name] = group.querySelector(":checked").value; } };
    },
    point: (spec, { stages, panels, moved }) => {
      const stage = stages[spec.panel], panel = panels[spec.panel], [left, top, width, height] = panel.box;
      const handle = make("button", { type: "button", class: "live-handle" }, stage);
      let now = spec.value;
      const set = (wanted) => {
        now = wanted.map((value, i) => {
          const [a, b] = i ? panel.y : panel.x;
          const inside = Math.min(Math.max(value, Math.min(a, b)), Math.max(a, b));
          return Number((Math.round(inside / spec.steps[i]) * spec.steps[i]).toPrecision(6));
        });
      };
      const follow = (event) => {
        const outer = stage.getBoundingClientRect(), unit = outer.width / WIDTH;
        set([back(panel.x, ((event.clientX - outer.left) / unit - left) / width),
          back(panel.y, 1 - ((event.clientY - outer.top) / unit - top) / height)]);
        moved();
      };
      stage.classList.add("live-plane");
      stage.addEventListener("click", (event) => { if (event.detail && event.target !== handle) follow(event); });
      handle.addEventListener("pointerdown", (event) => handle.setPointerCapture(event.pointerId));
      handle.addEventListener("pointermove", (event) => {
        if (handle.hasPointerCapture(event.pointerId)) follow(event);
      });
      handle.addEventListener("keydown", (event) => {
        const arrow = ARROWS[event.key];
        if (!arrow) return;
        event.preventDefault();
        set(now.map((value, i) => value + arrow[i] * spec.steps[i] * (event.shiftKey ? 10 : 1)));
        moved();
      });
      return {
        read: (values) => {
          spec.names.forEach((name, i) => { values[name] = now[i]; });
          percent(handle, left + share(panel.x, now[0]) * width, top + (1 - share(panel.y, now[1])) * height, panel);
          handle.setAttribute("aria-label", `${spec.label}: ${now.map((v) => number(v)).join(", ")}. Arrow keys move it.`);
        },
        set,
        reset: () => { now = spec.value; },
      };
    },
    pattern: (spec, { stages, panels, moved }) => {
      const stage = stages[spec.panel], panel = panels[spec.panel], [left, top] = panel.box;
      const group = make("div", { role: "group", "aria-label": spec.label, class: "live-cells" }, stage);
      const [a, b] = at(panel, 0, 0), [c, d] = at(panel, spec.columns, spec.rows);
      percent(group, left + a, top + b, panel);
      group.style.width = `${100 * (c - a) / WIDTH}%`;
      group.style.height = `${100 * (d - b) / panel.height}%`;
      group.style.gridTemplateColumns = `repeat(${spec.columns}, 1fr)`;
      let now = [...spec.value];
      const buttons = now.map((_, i) => {
        const button = make("button", { type: "button", tabindex: i ? -1 : 0 }, group);
        button.addEventListener("click", () => { now[i] = 1 - now[i]; reach(i); moved(); });
        return button;
      });
      const reach = (i) => {
        buttons.forEach((button, j) => { button.tabIndex = i === j ? 0 : -1; });
        buttons[i].focus();
      };
      group.addEventListener("keydown", (event) => {
        const arrow = ARROWS[event.key], i = buttons.indexOf(event.target);
        if (!arrow || i < 0) return;
        event.preventDefault();
        const column = i % spec.columns + arrow[0], row = Math.floor(i / spec.columns) - arrow[1];
        if (column >= 0 && column < spec.columns && row >= 0 && row < spec.rows) reach(row * spec.columns + column);
      });
      return {
        read: (values) => {
          values[spec.name] = now;
          buttons.forEach((button, i) => {
            button.setAttribute("aria-pressed", now[i] ? "true" : "false");
            button.setAttribute("aria-label", `row ${Math.floor(i / spec.columns) + 1}, column ${i % spec.columns + 1}`);
          });
        },
        set: (wanted) => { now = [...wanted]; },
        reset: () => { now = [...spec.value]; },
      };
    },
  };

  const start = (figure) => {
    const program = globalThis.deepoptLive?.[figure.dataset.model];
    if (!program || figure.live) return;
    const spec = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
    const stages = [...figure.querySelectorAll(".live-stage")];
    const marks = stages.map((stage) => [...stage.querySelectorAll("[data-mark]")]);
    const form = figure.querySelector("form"), text = figure.querySelector(".live-text");
    const lists = [...figure.querySelectorAll(".live-lists dd")];
    const heard = make("p", { class: "live-heard", "aria-live": "polite" }, figure);
    const live = { spec, values: {} };
    let frame = 0, timer = 0, aloud = false;

    const redraw = (quiet) => {
      frame = 0;
      aloud = false;
      const settings = {};
      held.forEach((hand) => hand.read(settings));
      const results = program.model({ ...spec.given, ...program.rules, ...settings });
      const values = { ...settings, ...results };
      spec.panels.forEach((panel, i) => panel.marks.forEach(([kind, ...keys], j) =>
        draw[kind](marks[i][j], panel, values, keys)));
      lists.forEach((node, i) => { node.textContent = values[spec.lists[i]].map((v) => said(v)).join(" "); });
      text.textContent = fill(spec.text, values);
      Object.assign(live, { settings, results, values });
      if (quiet) return;
      clearTimeout(timer);
      timer = setTimeout(() => { heard.textContent = text.textContent; }, 700);
    };
    // To look at a mark changes no sentence: its slider says what it is.
    const looked = () => { frame ||= requestAnimationFrame(() => redraw(!aloud)); };
    const moved = () => { aloud = true; looked(); };
    const held = spec.controls.map((one) =>
      hands[one.kind](one, { form, stages, panels: spec.panels, given: spec.given, moved, looked }));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => { held.forEach((hand) => hand.reset?.()); setTimeout(moved); });
    form.reset();
    form.hidden = false;
    figure.live = Object.assign(live, { held, redraw });
    redraw(true);
  };
  const all = () => document.querySelectorAll("figure.live[data-model]").forEach(start);
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", all);
  else all();
})();
