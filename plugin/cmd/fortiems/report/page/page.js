'use strict';
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const D = read('data');
  const main = document.getElementById('main');
  const number = (n) => n.toLocaleString('en');

  // Texts of logs become text nodes only. Characters that reorder or hide text are shown.
  const visible = (s) => String(s).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));
  const short = (s, n) => s.length > n ? s.slice(0, n - 1) + '…' : s;
  function element(name, attributes, ...children) {
    const e = document.createElement(name);
    for (const [k, v] of Object.entries(attributes || {})) e.setAttribute(k, v);
    for (const c of children) e.append(c instanceof Node ? c : document.createTextNode(visible(c)));
    return e;
  }
  let sections = 0;
  function section(title, note, full) {
    const id = 'section-' + ++sections;
    const s = element('section', {'aria-labelledby': id}, element('h2', {id}, title));
    if (note) s.append(element('p', {class: 'note'}, note));
    if (full) s.className = 'full';
    main.append(s);
    return s;
  }
  function table(columns, rows) {
    const numeric = columns.map((_, i) => rows.length > 0 && rows.every((r) => typeof r[i] === 'number'));
    const head = element('tr', {}, ...columns.map((c, i) => element('th', numeric[i] ? {scope: 'col', class: 'num'} : {scope: 'col'}, c)));
    const body = rows.map((r) => element('tr', {}, ...r.map((v, i) => element('td', numeric[i] ? {class: 'num'} : {}, numeric[i] ? number(v) : v || '–'))));
    return element('div', {class: 'wide', tabindex: '0', role: 'region', 'aria-label': columns[0]},
      element('table', {}, element('thead', {}, head), element('tbody', {}, ...body)));
  }
  function numbers(columns, rows) { return element('details', {}, element('summary', {}, 'Numbers'), table(columns, rows)); }

  // Charts: SVG, texts in the tooltip drawn and not parsed.
  const charts = [];
  const dark = () => document.documentElement.dataset.theme === 'dark';
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const palette = () => dark()
    ? ['#79b8ff', '#ffb86b', '#6fdd8b', '#ff8a80', '#c8a2ff', '#7fe3e0', '#f7dc6f', '#ff9ad5', '#a3b1c2', '#b8e07a', '#9fa8ff', '#e0b48f', '#8fd3a6', '#d9a0a0', '#9fd0e8', '#d5c4a1', '#bbbbbb']
    : ['#0a58ca', '#c2570c', '#1a7f37', '#b3261e', '#6f42c1', '#0b7285', '#8a6d00', '#b0307a', '#57606a', '#5c7a00', '#3949ab', '#8d5524', '#2e7d5b', '#9c4a4a', '#2b6f8f', '#7a6a3a', '#777777'];
  function chart(to, name, label, option, tall) {
    const box = element('div', {class: tall ? 'chart tall' : 'chart', role: 'img', 'aria-label': label});
    to.append(box);
    const c = {box, name, option, instance: null};
    charts.push(c);
    return c;
  }
  function draw(c) {
    if (c.instance) c.instance.dispose();
    c.instance = echarts.init(c.box, null, {renderer: 'svg'});
    const text = style('--text'), line = style('--line');
    const axis = (a) => a && Object.assign({axisLabel: {color: text}, axisLine: {lineStyle: {color: line}}, splitLine: {lineStyle: {color: line}}}, a,
      {axisLabel: Object.assign({color: text}, a.axisLabel)});
    const o = c.option(palette());
    c.instance.setOption(Object.assign({
      animation: false, color: palette(), backgroundColor: 'transparent', textStyle: {fontFamily: getComputedStyle(document.body).fontFamily, color: text},
      tooltip: {trigger: 'axis', renderMode: 'richText', axisPointer: {type: 'shadow'}, confine: true, order: 'valueDesc'},
      grid: {left: 8, right: 16, top: o.legend ? 44 : 12, bottom: 8, containLabel: true},
    }, o, {legend: o.legend && Object.assign({type: 'scroll', top: 4, textStyle: {color: text}, pageTextStyle: {color: text}}, o.legend), xAxis: axis(o.xAxis), yAxis: axis(o.yAxis)}));
  }
  const good = () => style('--good'), bad = () => style('--bad'), dim = () => style('--dim');

  // Head.
  document.getElementById('about').textContent = visible(`${D.files.join(', ')} · events ${D.first || '–'} to ${D.last || '–'} UTC · made ${D.made} UTC by fortiems ${D.version}`);
  const failures = D.categories.reduce((n, c) => n + c.failure, 0), alerts = D.categories.reduce((n, c) => n + c.alerts, 0);
  const unknown = D.categories.find((c) => c.name === 'unknown').n;
  main.append(element('ul', {class: 'cards', 'aria-label': 'Totals'}, ...[
    ['lines', D.lines], ['FortiEMS events', D.matched], ['not FortiEMS', D.lines - D.matched], ['alerts', alerts], ['failures', failures],
    ['endpoints', D.hosts.total], ['users', D.users.total], ['unknown category', unknown],
  ].map(([name, n]) => element('li', {}, element('strong', {}, number(n)), element('span', {}, name)))));

  // Log types.
  {
    const s = section('Logs by FortiEMS type and subtype', 'The ten log types of FortiEMS, then FortiClient (fct) and FortiGate (fgt).', true);
    const rows = D.categories.filter((c) => c.n > 0 || c.ems);
    chart(s, 'categories', 'Bar chart: events by category', () => ({
      xAxis: {type: 'value'}, yAxis: {type: 'category', inverse: true, data: rows.map((c) => c.name)},
      legend: {}, series: [['success', 'success', good()], ['failure', 'failure', bad()], ['no outcome', '', dim()]].map(([name, key, color]) => ({
        name, type: 'bar', stack: 'all', itemStyle: {color}, data: rows.map((c) => key ? c[key] : c.n - c.success - c.failure)})),
    }), true);
    s.append(numbers(['Category', 'Covers', 'Events', 'Success', 'Failure', 'Alerts'], rows.map((c) => [c.name, c.covers, c.n, c.success, c.failure, c.alerts])));
    s.append(table(['Category', 'Type', 'Subtype', 'Events', 'Failures', 'Alerts', 'Last (UTC)'], D.types.map((r) => [...r.keys, r.n, r.failures, r.alerts, r.last])));
  }
  // Time.
  {
    const T = D.time, names = D.categories.map((c) => c.name).filter((n) => T.categories[n]);
    const every = T.step % 86400 === 0 ? `${T.step / 86400} days` : T.step % 3600 === 0 ? `${T.step / 3600} h` : `${T.step / 60} min`;
    const notes = [`One bar is ${every}.`];
    if (T.outside) notes.push(`${number(T.outside)} events far before or after are not shown.`);
    if (D.untimed) notes.push(`${number(D.untimed)} events say no time.`);
    const s = section('Categories over time', T.starts ? notes.join(' ') : 'No event says its time.', true);
    if (T.starts) {
      chart(s, 'time', 'Bar chart: events of each category over time', () => ({
        xAxis: {type: 'category', data: T.starts.map((t) => t.slice(0, 16))}, yAxis: {type: 'value'}, legend: {},
        series: names.map((name) => ({name, type: 'bar', stack: 'all', data: T.categories[name]})),
      }));
      s.append(numbers(['From (UTC)', ...names], T.starts.map((t, i) => [t, ...names.map((n) => T.categories[n][i])]).slice(0, 500)));
    }
  }
  // Severity.
  {
    const names = ['emergency', 'alert', 'critical', 'error', 'warning', 'notice', 'informational', 'debug', 'none'];
    const s = section('Severity', 'The syslog severity of the level, else of the header.');
    chart(s, 'severity', 'Bar chart: events by severity', (p) => ({
      xAxis: {type: 'category', data: names, axisLabel: {interval: 0, rotate: 30}}, yAxis: {type: 'value'}, series: [{type: 'bar', name: 'events', itemStyle: {color: p[0]}, data: D.severities}],
    }));
    s.append(numbers(['Severity', 'Events'], names.map((n, i) => [n, D.severities[i]])));
  }
  const top = (title, t, what) => {
    const s = section(title, t.total > t.rows.length ? `The ${t.rows.length} with the most events of ${number(t.total)}.` : '');
    s.append(t.rows.length ? table([...what, 'Events', 'Failures', 'Alerts', 'Last (UTC)'], t.rows.map((r) => [...r.keys, r.n, r.failures, r.alerts, r.last])) : element('p', {}, 'None.'));
    return s;
  };
  // Alerts.
  {
    const s = top('Alerts', D.alerts, ['Action', 'Endpoint', 'Signature']);
    if (D.alertKinds.length) chart(s, 'alerts', 'Bar chart: alerts by action', () => ({
      xAxis: {type: 'value'}, yAxis: {type: 'category', inverse: true, data: D.alertKinds.map((r) => r.keys[0] || '–')}, series: [{type: 'bar', name: 'alerts', itemStyle: {color: bad()}, data: D.alertKinds.map((r) => r.n)}],
    }));
  }
  {
    const s = top('Failed logins', D.logins, ['User', 'Address']);
    if (D.logins.rows.length && D.time.starts) chart(s, 'logins', 'Bar chart: failed logins over time', () => ({
      xAxis: {type: 'category', data: D.time.starts.map((t) => t.slice(0, 16))}, yAxis: {type: 'value', minInterval: 1}, series: [{type: 'bar', name: 'failed logins', itemStyle: {color: bad()}, data: D.time.logins}],
    }));
  }
  top('Endpoints', D.hosts, ['Endpoint']);
  top('Users', D.users, ['User']);
  // Active Directory.
  {
    const s = section('Active Directory health', 'Events of ems-adconnector and ems-addaemonworker.');
    if (!D.directory.length) s.append(element('p', {}, 'None.'));
    else {
      if (D.time.starts) chart(s, 'directory', 'Bar chart: outcome of directory events over time', () => ({
        xAxis: {type: 'category', data: D.time.starts.map((t) => t.slice(0, 16))}, yAxis: {type: 'value', minInterval: 1}, legend: {},
        series: [['success', 1, good()], ['failure', 2, bad()], ['no outcome', 0, dim()]].map(([name, i, color]) => ({name, type: 'bar', stack: 'all', itemStyle: {color}, data: D.time.directory.map((d) => d[i])})),
      }));
      s.append(table(['Category', 'Action', 'Events', 'Failures', 'Last (UTC)'], D.directory.map((r) => [...r.keys, r.n, r.failures, r.last])));
    }
  }
  {
    const s = section('FortiClient versions', 'Endpoints by the version that they last named.');
    s.append(D.versions.length ? table(['Version', 'Endpoints'], D.versions.map((r) => [r.keys[0], r.n])) : element('p', {}, 'No line names one (fctver).'));
  }
  {
    const s = section('Wordings that no rule knows', D.nWordings > D.wordings?.length ? `The ${D.wordings.length} most frequent of ${number(D.nWordings)}; fortiems discover lists all.` : 'fortiems discover makes rules of them.', true);
    s.append(D.wordings ? table(['Wording', 'Events', 'Reason', 'Category', 'First at'], D.wordings.map((w) => [w.template, w.n, w.reason, w.category, w.where])) : element('p', {}, 'None.'));
  }

  // Events.
  const events = D.events || [], keys = {c: 'by-c', a: 'by-a', o: 'by-o', k: 'by-k'}, size = 100;
  document.getElementById('sample').textContent = D.sampled
    ? `A sample of ${number(events.length)} of ${number(D.lines)} lines, from every category. The charts count all lines.` : `All ${number(events.length)} lines.`;
  for (const [k, id] of Object.entries(keys)) {
    const select = document.getElementById(id);
    select.append(element('option', {value: ''}, 'all'));
    const counts = new Map();
    for (const e of events) counts.set(e[k], (counts.get(e[k]) || 0) + 1);
    for (const [v, n] of [...counts].sort()) select.append(element('option', {value: v || '–'}, `${v || '–'} (${n})`));
  }
  const body = document.querySelector('#table tbody');
  let matching = events, page = 0;
  function details(e) {
    let record = '';
    if (e.rec) record = JSON.stringify(e.rec, null, 2);
    return element('td', {colspan: '8'}, element('p', {}, `${D.files[e.f]}:${e.n}`),
      element('h3', {}, 'Why'), element('ul', {}, ...(e.why || []).map((w) => element('li', {}, w))),
      element('h3', {}, 'Raw line'), element('pre', {dir: 'ltr'}, e.raw), ...(record ? [element('h3', {}, 'Record'), element('pre', {dir: 'ltr'}, record)] : []));
  }
  function rowOf(e, i) {
    const id = 'event-' + i;
    const button = element('button', {type: 'button', 'aria-expanded': 'false', 'aria-controls': id, 'aria-label': `Details of line ${e.n}`}, '+');
    const more = element('tr', {id, hidden: ''});
    button.addEventListener('click', () => {
      if (!more.firstChild) more.append(details(e));
      more.hidden = !more.hidden;
      button.setAttribute('aria-expanded', String(!more.hidden));
      button.textContent = more.hidden ? '+' : '–';
    });
    const cells = [e.t, e.c || '(not FortiEMS)', e.a, e.o, e.w, e.h, short(e.m, 300)].map((v) => element('td', {}, v || '–'));
    if (e.o) cells[3].className = e.o === 'failure' ? 'bad' : 'good';
    if (e.k === 'alert') cells[1].className = 'bad';
    return [element('tr', {}, element('td', {}, button), ...cells), more];
  }
  function show() {
    body.replaceChildren(...matching.slice(page * size, page * size + size).flatMap((e, i) => rowOf(e, page * size + i)));
    const pages = Math.max(1, Math.ceil(matching.length / size));
    document.getElementById('found').textContent = `${number(matching.length)} of ${number(events.length)} events`;
    document.getElementById('page').textContent = `page ${page + 1} of ${pages}`;
    document.getElementById('previous').disabled = page === 0;
    document.getElementById('next').disabled = page >= pages - 1;
  }
  function filter() {
    const words = document.getElementById('search').value.toLowerCase().split(/\s+/).filter(Boolean);
    const want = Object.entries(keys).map(([k, id]) => [k, document.getElementById(id).value]).filter(([, v]) => v);
    matching = events.filter((e) => want.every(([k, v]) => (e[k] || '–') === v) && (!words.length || ((t) => words.every((w) => t.includes(w)))(e.raw.toLowerCase() + ' ' + e.m.toLowerCase())));
    page = 0;
    show();
  }
  document.getElementById('filters').addEventListener('input', filter);
  document.getElementById('filters').addEventListener('submit', (e) => e.preventDefault());
  document.getElementById('filters').addEventListener('reset', () => setTimeout(filter));
  document.getElementById('previous').addEventListener('click', () => { page--; show(); });
  document.getElementById('next').addEventListener('click', () => { page++; show(); });
  document.getElementById('license').textContent = read('license-text');

  // Theme, size, print.
  const system = matchMedia('(prefers-color-scheme: dark)'), theme = document.getElementById('theme');
  function apply() {
    document.documentElement.dataset.theme = theme.value === 'auto' ? (system.matches ? 'dark' : 'light') : theme.value;
    charts.forEach(draw);
  }
  theme.addEventListener('change', apply);
  system.addEventListener('change', apply);
  addEventListener('resize', () => charts.forEach((c) => c.instance.resize()));
  addEventListener('beforeprint', () => { document.documentElement.dataset.theme = 'light'; charts.forEach((c) => { draw(c); c.instance.resize({width: 700}); }); });
  addEventListener('afterprint', apply);
  apply();
  show();
  document.documentElement.dataset.ready = 'true';
  window.fortiemsCharts = Object.fromEntries(charts.map((c) => [c.name, c])); // for tests
})();
