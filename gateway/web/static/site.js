// Progressive enhancement only: every flow works without this file; file progress needs it.
"use strict";

const find = (selector, root = document) => Array.from(root.querySelectorAll(selector));
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

// The activation code stands behind `#` in the QR code: it never reaches a server or its log.
const code = document.getElementById("code");
if (code && location.pathname === "/activate" && location.hash.length > 1) {
  code.value = decodeURIComponent(location.hash.slice(1)).slice(0, 20);
  history.replaceState(null, "", location.pathname);
}

for (const summary of find("[data-focus]")) summary.focus();

for (const button of find("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

for (const button of find("[data-reveal]")) {
  const input = document.getElementById(button.dataset.reveal);
  button.hidden = false;
  button.addEventListener("click", () => {
    const hidden = input.type === "password";
    input.type = hidden ? "text" : "password";
    button.textContent = hidden ? button.dataset.hide : button.dataset.show;
  });
}

// Parts of a page that change while work goes on: look again, a little later each time.
async function poll(part) {
  for (let seconds = 2; seconds < 60; seconds *= 1.3) {
    await wait(seconds * 1000);
    const answer = await fetch(part.dataset.poll, { headers: { Accept: "text/html" } }).catch(() => null);
    if (!answer || !answer.ok) continue;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("[data-live]");
    if (!fresh || fresh.innerHTML.trim() !== part.innerHTML.trim()) return location.reload();
  }
}
for (const part of find("[data-poll]")) poll(part);

// An import that the job child is reading.
async function follow(box) {
  const bar = box.querySelector("progress");
  const words = box.querySelector("[data-words]");
  for (;;) {
    await wait(1500);
    const answer = await fetch(box.dataset.job).catch(() => null);
    if (!answer || !answer.ok) continue;
    const job = await answer.json();
    bar.max = job.total || 1;
    bar.value = job.done;
    if (words.textContent !== job.words) words.textContent = job.words;
    if (job.state === "done" || job.state === "failed") return;
  }
}
for (const box of find("[data-job]")) follow(box);

// A large file goes in pieces; after a lost connection it goes on where the server's copy ends.
async function send(form) {
  const file = form.querySelector("input[type=file]").files[0];
  const bar = form.querySelector("progress");
  const words = form.querySelector("[data-words]");
  const headers = { "X-CSRF-Token": form.querySelector("input[name=csrf]").value };
  const mark = `${file.size}-${file.lastModified}`;
  const begun = await fetch(`/import/pieces?size=${file.size}&mark=${mark}`, { method: "POST", headers });
  const job = await begun.json();
  if (!begun.ok) throw new Error(job.words);
  form.querySelector("[data-bar]").hidden = false;
  let offset = job.offset;
  while (offset < file.size) {
    const body = file.slice(offset, offset + job.piece);
    const target = `/import/${job.id}/pieces?offset=${offset}`;
    const answer = await fetch(target, { method: "PUT", headers, body }).catch(() => null);
    const said = answer ? await answer.json().catch(() => null) : null;
    if (said && said.offset !== undefined) offset = said.offset;
    else if (answer && answer.status < 500 && said) throw new Error(said.words);
    else {
      words.textContent = form.dataset.failed;
      await wait(3000);
      continue;
    }
    const percent = Math.floor((100 * offset) / file.size);
    bar.value = percent;
    words.textContent = form.dataset.sending.replace("{percent}", percent);
  }
  location.assign(`/import/${job.id}`);
}
for (const form of find("form[data-upload]")) {
  form.addEventListener("submit", (event) => {
    const input = form.querySelector("input[type=file]");
    if (!input.files.length) return;
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    send(form).catch((problem) => {
      form.querySelector("[data-words]").textContent = problem.message;
      button.disabled = false;
    });
  });
}
