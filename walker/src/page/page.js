// Live progress. Pages can be read without it.
'use strict';

const follows = document.body.dataset.follows;
const progress = document.getElementById('progress');
const list = document.getElementById('diagnoses');
const running = document.getElementById('running');
let renewing = null;

// What the server renders now, in place of what it rendered before.
async function renew() {
  renewing = null;
  const answer = await fetch(location.href, { headers: { accept: 'text/html' } });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html').getElementById('diagnoses');
  if (fresh) list.replaceChildren(...fresh.childNodes);
}

// News of many diagnoses renew the list once.
function renewSoon() {
  renewing ??= setTimeout(renew, 300);
}

// A line for each diagnosis that runs, with what it is at.
function tellRunning(news) {
  const id = 'running-' + news.id;
  let line = document.getElementById(id);
  if (news.state !== 'running') {
    line?.remove();
    renewSoon();
    return;
  }
  if (!line) {
    line = document.createElement('li');
    line.id = id;
    const link = document.createElement('a');
    link.href = '/diagnoses/' + encodeURIComponent(news.id);
    link.textContent = news.system || 'a diagnosis';
    line.append(link, document.createElement('span'));
    running.append(line);
  }
  line.lastChild.textContent = ': ' + (news.detail || 'waits for its turn');
}

const events = new EventSource('/events');
events.onmessage = (message) => {
  const news = JSON.parse(message.data);
  if (follows === '') {
    tellRunning(news);
  } else if (news.id === follows) {
    if (news.state === 'running') {
      progress.textContent = news.detail || 'waits for its turn';
    } else {
      events.close();
      location.reload();
    }
  }
};
// News that came between the rendering of this page and its first event are in what the server renders now.
events.onopen = () => {
  if (follows === '') renewSoon();
};
addEventListener('pagehide', () => events.close());
