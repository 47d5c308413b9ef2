import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseCsv } from "../../src/data/csv.ts";
import { columnOf, type Table } from "../../src/data/table.ts";

const plain = (t: Table) => Object.fromEntries(t.columns.map((c) => [c.name, [...c.values]]));
const read = (text: string, options = {}) => plain(parseCsv(text, options));
const lines = (...rows: string[]) => `${rows.join("\n")}\n`;

describe("reading", () => {
  test("numbers, categories, missing cells", () => {
    expect(read(lines("a,b,c", "1,x,", "NA,?,2.5", "-1e3,y,.5"))).toEqual({
      a: [1, Number.NaN, -1000],
      b: ["x", null, "y"],
      c: [Number.NaN, 2.5, 0.5],
    });
  });

  test.each(["", "NA", "N/A", "na", "null", "NULL", "None", "?", "nan", "NaN"])("%j is missing", (marker) => {
    expect(read(lines("a,b", `1,${marker}`, "2,x", "3,y")).b).toEqual([null, "x", "y"]);
    expect(read(lines("a,b", `1,${marker}`, "2,7", "3,8")).b).toEqual([Number.NaN, 7, 8]);
  });

  test("byte order mark, CRLF, blank lines, spaces, no newline at the end", () => {
    const text = "\ufeffa, b\r\n\r\n1, x\r\n   \r\n 2 ,y z";
    expect(read(text)).toEqual({ a: [1, 2], b: ["x", "y z"] });
    expect(plain(parseCsv(new TextEncoder().encode(text)))).toEqual({ a: [1, 2], b: ["x", "y z"] });
    expect([...parseCsv(text).lines!]).toEqual([3, 5]);
  });

  test("UTF-16 as a spreadsheet writes it", () => {
    const text = "\ufeffa\tb\r\n1\tä\r\n2\tö\r\n";
    const bytes = new Uint8Array(new Uint16Array([...text].map((c) => c.charCodeAt(0))).buffer);
    expect(plain(parseCsv(bytes))).toEqual({ a: [1, 2], b: ["ä", "ö"] });
  });

  test("quotes: delimiters, quotes and line ends inside; lines still counted", () => {
    const t = parseCsv('a,b\n1,"x, ""y"""\n2,"two\nlines"\n3,z\n');
    expect(plain(t)).toEqual({ a: [1, 2, 3], b: ['x, "y"', "two\nlines", "z"] });
    expect([...t.lines!]).toEqual([2, 4, 5]);
  });

  test("any table of texts survives writing and reading", () => {
    const cell = fc.string({ minLength: 1, maxLength: 6 }).map((s) => `:${s.replaceAll("\0", "")}:`);
    const table = fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 8 });
    const quoted = (s: string) => `"${s.replaceAll('"', '""')}"`;
    fc.assert(
      fc.property(table, (rows) => {
        const text = lines("a,b", ...rows.map((row) => row.map(quoted).join(",")));
        const kinds = { a: "categorical", b: "categorical" } as const;
        expect(read(text, { kinds })).toEqual({ a: rows.map(([a]) => a), b: rows.map(([, b]) => b) });
      }),
      { seed: 1 },
    );
  });
});

describe("delimiter", () => {
  test("semicolon and tab are found", () => {
    expect(read(lines("a;b", "1;x", "2;y"))).toEqual({ a: [1, 2], b: ["x", "y"] });
    expect(read(lines("a\tb\tc", "1\t\tx", "2\t3\ty"))).toEqual({ a: [1, 2], b: [Number.NaN, 3], c: ["x", "y"] });
    expect(read(lines("a;b", "1,5;2", "2,5;3"), { decimal: "," })).toEqual({ a: [1.5, 2.5], b: [2, 3] });
  });

  test("a header with semicolons and commas is split at the commas", () => {
    expect(read(lines("char_freq_;,char_freq_(,x", "1,2,3", "4,5,6"))).toEqual({
      "char_freq_;": [1, 4],
      "char_freq_(": [2, 5],
      x: [3, 6],
    });
  });

  test("can be given", () => {
    expect(read(lines("a|b", "1|2"), { delimiter: "|" })).toEqual({ a: [1], b: [2] });
    expect(() => read("a", { delimiter: "||" })).toThrow('delimiter: expected one character, got "||"');
  });
});

describe("header", () => {
  test("names over numbers", () => expect(Object.keys(read(lines("a,b", "1,x")))).toEqual(["a", "b"]));
  test("numbers in the first row: no header", () => {
    expect(read(lines("5.1,setosa", "4.9,virginica"))).toEqual({
      column1: [5.1, 4.9],
      column2: ["setosa", "virginica"],
    });
  });
  test("texts only: a header where all differ", () => {
    expect(read(lines("a,b", "x,y", "z,w"))).toEqual({ a: ["x", "z"], b: ["y", "w"] });
    expect(read(lines("x,x", "x,y"))).toEqual({ column1: ["x", "x"], column2: ["x", "y"] });
  });
  test("can be forced", () => {
    expect(read(lines("1,2", "3,4"), { header: true })).toEqual({ 1: [3], 2: [4] });
    expect(read(lines("a,b", "x,y"), { header: false })).toEqual({ column1: ["a", "x"], column2: ["b", "y"] });
  });
  test("a column without a name is called by its number", () => {
    expect(Object.keys(read(lines(",a", "0,1", "1,2")))).toEqual(["column1", "a"]);
  });
});

describe("what a column is", () => {
  test("codes that are words now and then are categories", () => {
    expect(read(lines("doors", "2", "3", "4", "5more", "5more", "2")).doors).toEqual([
      "2",
      "3",
      "4",
      "5more",
      "5more",
      "2",
    ]);
  });
  test("can be declared", () => {
    expect(read(lines("zip", "01", "02"), { kinds: { zip: "categorical" } }).zip).toEqual(["01", "02"]);
    expect(() => read(lines("a", "x", "1"), { kinds: { a: "numeric" } })).toThrow('line 2, column "a": "x"');
  });
  test("markers of missing cells can be added", () => {
    expect(read(lines("a", "1.5", "unknown", "2"), { missing: ["Unknown"] }).a).toEqual([1.5, Number.NaN, 2]);
  });
  test("a column with nothing in it is numbers, all missing", () => {
    expect(read(lines("a,b", "1,", "2,NA")).b).toEqual([Number.NaN, Number.NaN]);
  });
});

describe("errors name file, line and column", () => {
  const source = "some/data.csv";
  const error = (input: string | Uint8Array, options = {}) => expect(() => parseCsv(input, { source, ...options }));

  test("nothing, or a header alone", () => {
    error("").toThrow("some/data.csv: the file is empty");
    error("\n \r\n").toThrow("some/data.csv: the file is empty");
    error("\ufeff").toThrow("some/data.csv: the file is empty");
    error("a,b\n").toThrow("some/data.csv: there is a header, but no rows of data");
  });
  test("ragged rows", () => {
    error(lines("a,b", "1,2", "1,2,3", "1")).toThrow("some/data.csv: line 3 has 3 cells, the header has 2 cells");
    error(lines("a,b", "1,2", "", "1")).toThrow("some/data.csv: line 4 has 1 cell, the header has 2 cells");
    error(lines("1,2", "3")).toThrow("line 2 has 1 cell, the first row has 2 cells");
    error(lines("a,b", "x,1,2", "y,3,4")).toThrow("every row has one cell more than the header");
  });
  test("duplicate names", () => {
    error(lines("a,b,a", "1,2,3")).toThrow('some/data.csv: columns 1 and 3 are both named "a"');
  });
  test("a word among numbers", () => {
    error(lines("a,b", "1.5,x", "2.5,x", "oops,x")).toThrow(
      'some/data.csv: line 4, column "a": "oops" is not a number, while 2 of 3 cells of this column are',
    );
    const many = Array.from({ length: 100 }, (_, i) => (i % 40 === 20 ? "n.a" : `${i}`));
    error(lines("a", ...many)).toThrow(
      'line 22, column "a": "n.a" is not a number (and 1 more in this column), while 98 of 100',
    );
    error(lines("a,2020", "1,2", "3,4")).toThrow("if this line is the header, say so");
    error(lines("a", "oops", "1", "2")).not.toThrow("if this line is the header");
  });
  test("infinite numbers", () => {
    for (const word of ["inf", "-Infinity", "INF", "1e999"]) {
      error(lines("a", "1", word)).toThrow(`some/data.csv: line 3, column "a": "${word}" is not a finite number`);
    }
  });
  test("numbers with commas", () => {
    error(lines("a;b", "1,5;2", "2,5;3")).toThrow('line 2, column "a": "1,5" is a number with a comma');
    error(lines("a,b", '"1,234",2', '"5,678",3')).toThrow('"1,234" is a number with a comma');
  });
  test("quotes", () => {
    error('a,b\n1,"2\n3,4\n').toThrow("a double quote opens here and never closes");
    error('a,b\n1,x"2\n').toThrow("line 2, cell 2: a double quote stands in the middle of a cell");
    error('a,b\n1,"2"x\n').toThrow("line 2, cell 2: text follows the double quote");
  });
  test("what is no text", () => {
    error("a,b\n1,\0\n").toThrow("some/data.csv: line 2 holds a NUL character");
    error(Uint8Array.of(0x1f, 0x8b, 8, 0)).toThrow("gzip");
    error(Uint8Array.of(0x50, 0x4b, 3, 4, 0)).toThrow("Excel workbook");
    error(Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0, 0)).toThrow("this is binary data");
    error(Uint8Array.of(0x61, 0x0a, 0x31, 0x0a, 0xe4, 0x0a)).toThrow("some/data.csv: line 3 is not UTF-8 text");
  });
  test("an unknown column, with the near one", () => {
    const t = parseCsv(lines("species,width", "x,1"), { source });
    expect(() => columnOf(t, "Specis")).toThrow('some/data.csv: no column "Specis"\n  hint: did you mean "species"?');
    expect(() => columnOf(t, "colour")).toThrow('its columns are "species", "width"');
  });
});
