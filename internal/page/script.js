'use strict';
(() => {
  const find = (selector, root = document) => root.querySelector(selector);
  const all = (selector) => document.querySelectorAll(selector);
  let token = '';
  let tag = '';
  let asking = false;
  let timer = 0;

  document.documentElement.classList.add('scripted');

  // say tells of something for a moment; with no text, of nothing.
  let silence = 0;
  const say = (text, milliseconds) => {
    clearTimeout(silence);
    find('#said').textContent = text;
    if (milliseconds) silence = setTimeout(() => say(''), milliseconds);
  };

  // address puts the URL by which the browser came in the place of the one
  // that the server has guessed.
  const address = () => {
    const folder = location.pathname.replace(/[^/]*$/, '').slice(0, -1);
    if (!/^[\w.~\/-]*$/.test(folder)) return;
    for (const url of all('[data-path]')) {
      url.textContent = location.protocol + '//' + location.host + folder + url.dataset.path;
    }
    if (location.protocol === 'https:') for (const option of all('.plain-http')) option.remove();
  };

  // ask returns this page as it is now, or null if nothing has changed.
  const ask = async (bearer) => {
    const headers = {Accept: 'text/html'};
    if (bearer) headers.Authorization = 'Bearer ' + bearer;
    if (tag) headers['If-None-Match'] = tag;
    const answer = await fetch(location.pathname + location.search, {headers, cache: 'no-store', signal: AbortSignal.timeout(15000)});
    if (answer.status === 304) return null;
    const text = await answer.text();
    const next = new DOMParser().parseFromString(text, 'text/html');
    if (!answer.ok || !find('main[data-view]', next)) throw new Error('this is not the page');
    tag = answer.headers.get('ETag') || '';
    return next;
  };

  // show shows what ask has returned.
  const show = (next) => {
    const before = find('main');
    const after = find('main', next);
    document.title = next.title;
    if (after.dataset.view === before.dataset.view && find('#progress', before)) {
      for (const live of all('[data-live]')) {
        const now = find('#' + live.id, after);
        if ('value' in live) [live.max, live.value] = [now.max, now.value];
        live.textContent = now.textContent;
      }
      return;
    }
    const chosen = find('.clients :checked').id;
    const focused = document.activeElement && document.activeElement.id;
    before.replaceWith(after);
    find('footer').replaceWith(find('footer', next));
    find('#' + chosen).checked = true;
    if (focused && document.getElementById(focused)) document.getElementById(focused).focus();
    address();
  };

  // pause is how long to wait before asking again. A server that serves is not
  // asked: an open page must keep no machine awake.
  const pause = () => {
    const view = find('main').dataset.view;
    if (view.startsWith('starting')) return 700;
    return view.startsWith('failing') ? 5000 : 0;
  };

  const look = async () => {
    clearTimeout(timer);
    if (asking || document.hidden) return;
    asking = true;
    let wait = 0;
    try {
      const next = await ask(token);
      if (next) show(next);
      say('');
      wait = pause();
    } catch {
      say('The runner does not answer. It is asked again.');
      wait = 5000;
    }
    asking = false;
    if (wait) timer = setTimeout(look, wait);
  };

  const copy = async (element) => {
    try {
      await navigator.clipboard.writeText(element.textContent);
      return true;
    } catch { // not by HTTPS, or not in this frame
      const selection = getSelection();
      selection.selectAllChildren(element);
      return document.execCommand('copy');
    }
  };

  document.addEventListener('click', async (event) => {
    const button = event.target.closest('[data-copy]');
    if (!button) return;
    if (!await copy(document.getElementById(button.dataset.copy))) {
      say('The text is selected: copy it with the keyboard.', 4000);
      return;
    }
    say('Copied', 2000);
    button.textContent = 'Copied';
    setTimeout(() => { button.textContent = 'Copy'; }, 2000);
  });

  document.addEventListener('submit', async (event) => {
    event.preventDefault();
    const given = find('#bearer').value.trim();
    find('#refusal').textContent = '';
    try {
      tag = '';
      const next = await ask(given);
      if (find('#unlock', next)) {
        find('#refusal').textContent = 'This is not the token.';
        find('#bearer').select();
        return;
      }
      token = given;
      show(next);
      const heading = find('#tools');
      if (heading) {
        heading.tabIndex = -1;
        heading.focus();
      }
    } catch {
      find('#refusal').textContent = 'The runner does not answer.';
    }
  });

  document.addEventListener('input', (event) => {
    if (event.target.id !== 'filter') return;
    const wanted = event.target.value.toLowerCase().trim();
    let left = 0;
    for (const tool of all('.tools > li')) {
      tool.hidden = !tool.textContent.toLowerCase().includes(wanted);
      if (!tool.hidden) left++;
    }
    find('#none').hidden = left > 0;
  });

  document.addEventListener('visibilitychange', look);
  address();
  if (pause()) timer = setTimeout(look, pause());
})();
