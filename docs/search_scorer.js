// How pages are ordered that a search finds: pages of the manual before lists and generated ones.
const AFTER = ["changelog", "components/messages", "components/", "gallery/", "api"];

var Scorer = {
  score: ([page, title, anchor, description, score]) =>
    score - (AFTER.some((start) => page.startsWith(start)) ? 4 : 0),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
