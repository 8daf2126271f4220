{
  // Colours and moves the marks of the map, and shows the picture of the nearest one.
  const plane = document.getElementById("map-plane");
  const fields = document.getElementById("map-fields");

  const start = () => {
    const ring = document.getElementById("map-ring");
    const frame = document.getElementById("map-picture");
    const text = document.getElementById("map-text");
    const legends = [...document.querySelectorAll(".legend")];
    const colours = legends.map((legend) =>
      [...legend.querySelectorAll("svg")].map((one) => one.getAttribute("fill")));
    const { width, height } = frame.viewBox.baseVal;
    const columns = Number(frame.dataset.columns);
    const pairs = fields.elements.axes.options.length;
    const marks = [...plane.querySelectorAll(".mark")].map((element, number) => ({
      element,
      number,
      at: element.dataset.at.split(" ").map(Number),
      groups: element.dataset.groups.split(" ").map(Number),
    }));
    let chosen = null;

    const draw = () => {
      const { by, person, embedding, axes } = Object.fromEntries(new FormData(fields));
      const first = 2 * (embedding * pairs + Number(axes));
      for (const mark of marks) {
        [mark.x, mark.y] = mark.at.slice(first, first + 2);
        mark.fits = person === "" || mark.groups[0] === Number(person);
        const { element } = mark;
        element.setAttribute("transform", `translate(${mark.x} ${mark.y})`);
        element.setAttribute("fill", colours[by][mark.groups[by]]);
        element.classList.toggle("other", !mark.fits);
      }
      legends.forEach((legend, number) => {
        legend.hidden = number !== Number(by);
        const shown = new Set(
          marks.filter((m) => m.fits).map((m) => m.groups[number]));
        legend.querySelectorAll("li").forEach((entry, group) => {
          entry.hidden = !shown.has(group);
        });
      });
      choose(chosen && chosen.fits ? chosen : null);
    };

    const choose = (mark) => {
      chosen = mark;
      for (const other of marks) {
        other.element.classList.toggle(
          "same", mark !== null && other.groups[0] === mark.groups[0]);
      }
      ring.setAttribute("visibility", mark ? "visible" : "hidden");
      frame.toggleAttribute("hidden", !mark);
      if (!mark) {
        text.textContent = "Point at a mark, or use the arrow keys on the map.";
        return;
      }
      ring.setAttribute("cx", mark.x);
      ring.setAttribute("cy", mark.y);
      const x = (mark.number % columns) * width;
      const y = Math.floor(mark.number / columns) * height;
      frame.setAttribute("viewBox", `${x} ${y} ${width} ${height}`);
      text.textContent = `${mark.element.dataset.file} · ${mark.element.dataset.text}`;
    };

    const best = (cost) => {
      let found = null, least = Infinity;
      for (const mark of marks) {
        const value = mark.fits ? cost(mark) : Infinity;
        if (value < least) [found, least] = [mark, value];
      }
      return found;
    };

    const point = (event) => {
      const place = new DOMPoint(event.clientX, event.clientY)
        .matrixTransform(plane.getScreenCTM().inverse());
      const mark = best((m) => {
        const distance = Math.hypot(m.x - place.x, m.y - place.y);
        return distance < 40 ? distance : Infinity;
      });
      if (mark && mark !== chosen) choose(mark);
    };

    const steps = {
      ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
    };
    const press = (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.key === "Escape") return choose(null);
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      if (!chosen) {
        const { width: w, height: h } = plane.viewBox.baseVal;
        return choose(best((m) => Math.hypot(m.x - w / 2, m.y - h / 2)));
      }
      const next = best((m) => {
        const x = m.x - chosen.x, y = m.y - chosen.y;
        const ahead = x * step[0] + y * step[1];
        const aside = Math.abs(x * step[1]) + Math.abs(y * step[0]);
        // Marks in the same place follow each other to the right and below.
        if (!x && !y) {
          const after = (m.number - chosen.number) * (step[0] + step[1]);
          return after > 0 ? after / marks.length : Infinity;
        }
        return ahead > 0 ? ahead + 2 * aside + 1 : Infinity;
      });
      if (next) choose(next);
    };

    fields.hidden = false;
    fields.addEventListener("change", draw);
    fields.addEventListener("submit", (event) => event.preventDefault());
    plane.addEventListener("pointermove", point);
    plane.addEventListener("pointerdown", point);
    plane.addEventListener("keydown", press);
    draw();
  };

  if (plane) start();
}
