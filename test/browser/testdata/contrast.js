// The texts on the page whose contrast is lower than WCAG 2.2 asks for at level
// AA (1.4.3): 3:1 for large text, 4.5:1 for all other.
(() => {
  const parse = (text) => {
    const [red, green, blue, alpha = 1] = text.match(/[\d.]+/g).map(Number);
    return [red, green, blue, alpha];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const luminance = (color) => {
    const [red, green, blue] = color.map((value) => {
      value /= 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ratio = (a, b) => {
    const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (light + 0.05) / (dark + 0.05);
  };
  // What is below the text of an element, and how opaque it is.
  const known = new Map([[null, {ground: [255, 255, 255, 1], opacity: 1}]]);
  const setting = (element) => {
    if (!known.has(element)) {
      const outer = setting(element.parentElement);
      const style = getComputedStyle(element);
      known.set(element, {ground: over(parse(style.backgroundColor), outer.ground), opacity: outer.opacity * Number(style.opacity)});
    }
    return known.get(element);
  };

  const found = [];
  const judge = (element, text, style) => {
    const {ground: below, opacity} = setting(element);
    const ink = parse(style.color);
    ink[3] *= opacity;
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || size >= 18.66 && Number(style.fontWeight) >= 700;
    const got = ratio(over(ink, below), below);
    if (got < (large ? 3 : 4.5)) found.push(`${got.toFixed(2)}:1 ${style.color} on ${below.slice(0, 3)}: ${text}`);
  };

  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || !element.checkVisibility({visibilityProperty: true})) continue;
    seen++;
    judge(element, text, getComputedStyle(element));
  }
  for (const input of document.querySelectorAll('input[placeholder]')) judge(input, input.placeholder, getComputedStyle(input, '::placeholder'));
  if (seen < 10) found.push(`only ${seen} texts were seen`);
  return found;
})()
