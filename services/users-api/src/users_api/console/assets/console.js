// Live updates: a switch that pauses them, and a word on whether they come. Everything else works without scripts.
(() => {
  "use strict";
  const PAUSED = "herald-paused";
  let paused = sessionStorage.getItem(PAUSED) === "yes";
  let sources = new Set();
  let stale = false;
  const changed = new Set();

  const byId = (id) => document.getElementById(id);
  const time = () => new Date().toISOString().slice(11, 19) + " UTC";

  function say(state, text) {
    const shown = byId("live-state");
    if (!shown) return;
    if (shown.textContent !== text) shown.textContent = text;
    shown.className = state;
  }

  function warn(text) {
    const notice = byId("notice");
    notice.textContent = text;
    notice.hidden = !text;
  }

  // A list stays as it is while it is looked at. What has changed meanwhile is counted, and shown on demand.
  function count(message) {
    const link = byId("changes");
    const { states, subscriptions } = link.dataset;
    const { event_id, subscription, state } = JSON.parse(message.data);
    const isMeant = (list, one) => !list || list.split(" ").includes(one);
    if (paused || !isMeant(states, state) || !isMeant(subscriptions, subscription)) return;
    changed.add(event_id + subscription);
    offer(changed.size === 1 ? "1 has changed: show it" : `${changed.size} have changed: show them`);
  }

  function offer(text) {
    const link = byId("changes");
    link.textContent = text;
    link.hidden = false;
  }

  function close() {
    sources.forEach((source) => source.close());
    sources.clear();
  }

  // htmx gives an element another stream when its attributes have changed, and then its parts must listen to that one.
  function reconnect() {
    if (byId("changes")) offer("Show the newest");
    document.querySelectorAll("[data-live]").forEach((element) => {
      const listening = element.querySelectorAll('[hx-trigger*="sse:"]');
      [element, ...listening].forEach((each) => each.setAttribute("data-opened", String(performance.now())));
      htmx.process(element);
      listening.forEach((each) => htmx.trigger(each, "sse:reload"));
    });
  }

  function show() {
    const button = byId("live-switch");
    if (!button) return;
    button.hidden = false;
    button.setAttribute("aria-pressed", String(paused));
    button.textContent = paused ? "Resume" : "Pause";
    if (paused) say("paused", "Paused at " + time());
  }

  function pause(wanted) {
    paused = wanted;
    sessionStorage.setItem(PAUSED, paused ? "yes" : "no");
    show();
    if (paused) close();
    else reconnect();
  }

  const isLive = (element) => Boolean(element.closest("[data-live]")) && element.hasAttribute("hx-trigger");

  htmx.createEventSource = (url) => {
    const source = new EventSource(url, { withCredentials: true });
    if (paused || document.hidden) source.close();
    else sources.add(source);
    if (byId("changes")) {
      source.addEventListener("delivery", count);
      ["missed", "reload"].forEach((kind) => source.addEventListener(kind, () => offer("Show the newest")));
    }
    return source;
  };
  document.addEventListener("htmx:beforeRequest", (event) => {
    if ((paused || document.hidden) && isLive(event.detail.elt)) event.preventDefault();
  });
  document.addEventListener("htmx:sseOpen", () => {
    if (!paused) say("open", "Live");
  });
  document.addEventListener("htmx:sseError", () => {
    if (!paused) say("lost", "Connecting …");
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const { xhr, successful } = event.detail;
    if (successful) {
      if (stale) warn("");
      stale = false;
    } else if (xhr && xhr.status === 401) {
      location.reload();
    } else if (!stale) {
      stale = true;
      const why = xhr && xhr.status === 503 ? "PostgreSQL doesn’t answer" : "users-api doesn’t answer";
      warn(`${why}: what you see is from ${time()}. It is read again as soon as possible.`);
    }
  });
  // What has ended, such as an operation, changes no more.
  document.addEventListener("htmx:afterSettle", () => {
    const button = byId("live-switch");
    if (button) button.hidden = !document.querySelector("[data-live]");
  });
  // A hidden page has no stream: browsers open few connections to a server.
  document.addEventListener("visibilitychange", () => {
    if (paused) return;
    if (document.hidden) close();
    else reconnect();
  });
  document.addEventListener("click", (event) => {
    if (event.target.id === "live-switch") pause(!paused);
  });
  show();
})();
