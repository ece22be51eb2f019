"use strict";
// Who is logged in, in the head of a page that is the same for everybody. What /api/me says is kept
// for this tab, so that not each page asks again; a login or a logout here makes it void.

const whoKept = "who";
const whoKeptMs = 30 * 60 * 1000;  // a logout in another tab is seen by then, or by the first refusal here

async function whoIsAsking() {
  const kept = JSON.parse(sessionStorage.getItem(whoKept) || "null");
  if (kept && Date.now() - kept.at < whoKeptMs) {
    return kept.player;
  }
  const answer = await fetch("/api/me");
  if (!answer.ok && answer.status !== 401) {
    return null;  // unknown: the next page asks again
  }
  const me = answer.ok ? await answer.json() : null;
  const player = me && { id: me.id, username: me.username };
  sessionStorage.setItem(whoKept, JSON.stringify({ at: Date.now(), player }));
  return player;
}

function greet(player) {
  const link = document.createElement("a");
  link.href = "/me";
  link.dataset.player = player.id;
  link.textContent = player.username;
  const button = document.createElement("button");
  button.textContent = "Log out";
  const form = document.createElement("form");
  form.className = "who";
  form.method = "post";
  form.action = "/logout";
  form.append(link, " ", button);
  document.querySelector("header .who").replaceWith(form);
}

document.addEventListener("submit", (event) => {
  if (event.target.method === "post") {  // the login form, and the one that logs out
    sessionStorage.removeItem(whoKept);
  }
});

whoIsAsking().then((player) => player && greet(player));
