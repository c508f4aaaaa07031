// Every text and every mark with less contrast to what is behind it than WCAG 2.2 AA asks for: 4.5 : 1 for
// text (1.4.3), 3 : 1 for marks and borders of controls (1.4.11). Also counts what was looked at.
(() => {
  const parse = (text) => {
    const numbers = text.match(/[\d.]+/g)?.map(Number);
    if (!numbers || !/^rgba?\(/.test(text)) throw new Error(`no colour: ${text}`);
    return [numbers[0], numbers[1], numbers[2], numbers[3] ?? 1];
  };
  const over = ([r, g, b, a], below) => [r, g, b].map((part, at) => part * a + below[at] * (1 - a));
  const light = (colour) => {
    const [r, g, b] = colour.map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const behind = (element) => {
    const chain = [];
    for (let at = element; at; at = at.parentElement) chain.unshift(at);
    return chain.reduce((below, at) => {
      const style = getComputedStyle(at);
      return at instanceof SVGElement && at.tagName !== "svg" ? below : over(parse(style.backgroundColor), below);
    }, [255, 255, 255]);
  };
  const seen = (element) => element.checkVisibility({ visibilityProperty: true })
    && element.getBoundingClientRect().width > 0;
  const low = [];
  let texts = 0, marks = 0;
  const check = (element, colour, least, what) => {
    const ground = behind(element);
    const found = ratio(over(parse(colour), ground), ground);
    if (found < least) low.push(`${what}: ${colour} on ${ground}: ${found.toFixed(2)}`);
  };

  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.data.trim();
    if (!text || ["SCRIPT", "STYLE", "title", "desc"].includes(element.tagName) || !seen(element)) continue;
    const style = getComputedStyle(element);
    texts += 1;
    check(element, element instanceof SVGElement ? style.fill : style.color, 4.5, text.slice(0, 40));
  }
  for (const element of document.querySelectorAll(".mark, .lane line, .plot .dot, .plot .course, .plot .median")) {
    if (!seen(element)) continue;
    marks += 1;
    check(element, getComputedStyle(element).stroke, 3, element.getAttribute("class") ?? element.tagName);
  }
  for (const element of document.querySelectorAll("input[type=search], button#theme")) {
    if (seen(element)) check(element.parentElement, getComputedStyle(element).borderTopColor, 3, `border of ${element.id}`);
  }
  return { low: [...new Set(low)], texts, marks };
})()
