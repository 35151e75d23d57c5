/* Python beside the page, so that the page stays at hand while a cell runs.
   Everything is loaded from the folder of this script, and from nowhere else. */
import { loadPyodide } from "./pyodide/pyodide.mjs";

const HERE = new URL("./", import.meta.url);
const BOOK = "/book";
const say = (message) => postMessage(message);
const get = async (name) => {
  const answer = await fetch(new URL(name, HERE));
  if (!answer.ok) throw new Error(`${name}: ${answer.status} ${answer.statusText}`);
  return answer;
};
let python, session;

/* Files that a cell opens are loaded then; what it writes stays in memory. */
const list = (files) => {
  for (const path of Object.keys(files)) {
    const full = `${BOOK}/${path}`, cut = full.lastIndexOf("/");
    python.FS.mkdirTree(full.slice(0, cut));
    const address = new URL(`files/${path}`, HERE).href;
    python.FS.createLazyFile(full.slice(0, cut), full.slice(cut + 1), address, true, true);
  }
};

const start = async (page) => {
  say({ status: "Loading Python …" });
  const folder = new URL("pyodide/", HERE).href;
  python = await loadPyodide({
    indexURL: folder,
    env: { HOME: "/home/pyodide", MPLBACKEND: "agg", MPLCONFIGDIR: "/tmp" },
  });
  say({ status: "Loading NumPy, SciPy and Matplotlib …" });
  await python.loadPackage(["numpy", "scipy", "matplotlib"], { messageCallback: () => {} });
  say({ status: "Loading the library …" });
  python.unpackArchive(await (await get("library.zip")).arrayBuffer(), "zip", { extractDir: BOOK });
  list(await (await get("files.json")).json());
  python.globals.set("place", `${BOOK}/${page.slice(0, page.lastIndexOf("/"))}`);
  session = python.runPython(`
import os, sys
sys.path.insert(0, "${BOOK}")
os.makedirs(place, exist_ok=True)
os.chdir(place)
from tools.live.session import Session
session = Session()
session.start()
session`);
  say({ ready: true });
};

onmessage = async ({ data }) => {
  try {
    if (data.page) await start(data.page);
    else {
      const begin = performance.now();
      const outputs = JSON.parse(session.run(data.source));
      say({ cell: data.cell, outputs, seconds: (performance.now() - begin) / 1000 });
    }
  } catch (error) {
    say({ failed: String(error?.message ?? error) });
  }
};
