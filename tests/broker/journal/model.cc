// SPDX-License-Identifier: Apache-2.0
//
// The checked model of the journal and its recovery: breadth first over every interleaving within the budgets given, so
// that a trace is the shortest. It is evidence for broker/journal/FORMAT.md and deliberately shares no code with the
// journal. Usage: journal_model groups=2 crashes=3 rot=1 -spare; a word -NAME switches a rule off (a mutant) and shows
// what breaks.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <unordered_set>
#include <vector>
using namespace std;
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint64_t u64;
#ifndef NF
#define NF 4
#endif
#ifndef NB
#define NB 6
#endif
const int F = NF, B = NB, HMAX = 24, CH = 6;
struct Cfg {
  int groups = 3, crashes = 2, rot = 0, fails = 0, ckpts = 0, marks = 1, gmax = 2;
  bool tornAll = false;
  bool tail = false;
  int depth = 99;
} C;
map<string, int> M;  // mutants
bool mut(const char* n) {
  static map<const char*, int> memo;
  auto i = memo.find(n);
  if (i != memo.end()) return i->second;
  int v = M.count(n);
  memo[n] = v;
  return v;
}
enum { ZERO, BAD, HDR, ENT };
enum { DATA, CKPT, MARK, OPEN };
struct Blk {
  u8 kind = 0, num = 0, reign = 0, pred = 0, copyEnd = 0, opening = 0, first = 0, E = 0, ckA = 0, ckB = 0, seq = 0,
     lead = 0, mark = 0, type = 0, id = 0, c = 0;
  bool operator<(const Blk& o) const { return memcmp(this, &o, sizeof o) < 0; }
};
vector<Blk> T;
map<Blk, u16> TI;
u16 in(const Blk& b) {
  auto i = TI.find(b);
  if (i != TI.end()) return i->second;
  T.push_back(b);
  return TI[b] = T.size() - 1;
}
enum { DOWN, REC0, REC1, REC2, REC3, UP };
struct S {
  u16 cache[F][B], disk[F][B], mid[F][B];
  u8 dirty[F][B];
  u8 phase, file, blk, num, reign, dur;
  u8 seq;                    // broker memory; dur = position covered by syncs
  u8 ckA, ckB, pend, pend2;  // durable checkpoints (lengths), pending entries
  u8 chN, chF[CH], chFirst[CH], chReign[CH];
  u8 baseFile;  // during recovery: chain slot to drop after opening (whole copy)
  u8 recN;      // recovered length during recovery
  u8 canMark, proven;
  u8 H[HMAX], hn, acked, ackedBefore, lossy, nextId;
  u16 served;  // ghosts
  u8 rotted, rotKind;
  u16 ckRot;
  u8 rotUsed;
  u8 gL, cL, fL, kL, mL;  // budgets left
};
struct Rec {
  bool corrupt = false;
  string why;
  int n = 0;
  u8 ids[HMAX];
  int base = -1, R = 0, e = 1, content = 1, num = 0, seqEnd = 0, maxReign = 0, hi = 0, ckA = 0, ckB = 0, consB = 0;
  int chN = 0;
  u8 chF[CH], chFirst[CH], chReign[CH];
  int first = 0, pred = 0;
  int coverBlk = 1, coverSeq = 0;
  int keep = -1;
  int reprove = 0;
};

// Valid run of a segment from block 1; returns first invalid block. seq = next expected.
int runOf(const S& s, int f, const Blk& h, int& seq, int stopBlk = B) {
  seq = h.first;
  int b = 1;
  for (; b < stopBlk; b++) {
    const Blk& x = T[s.cache[f][b]];
    if (x.kind != ENT) break;
    if (!mut("noReignCheck")) {
      if (b >= h.copyEnd ? x.reign != h.reign : x.reign > h.reign) break;
    }
    if (x.type == MARK || x.type == OPEN) {
      if (mut("noReignCheck") == 0 && b < h.copyEnd && 0) break;
      if (x.seq != seq) break;
      continue;
    }
    if (x.seq != seq) break;
    seq++;
  }
  return b;
}
Rec recover(const S& s) {
  Rec r;
  bool hv[F];
  for (int f = 0; f < F; f++) {
    const Blk& h = T[s.cache[f][0]];
    hv[f] = h.kind == HDR;
    if (hv[f]) {
      r.maxReign = max(r.maxReign, (int)h.reign);
      r.hi = max(r.hi, (int)h.mark);
    }
    if (!hv[f] && mut("hdrStale")) continue;
    for (int b = 1; b < B; b++) {
      const Blk& x = T[s.cache[f][b]];
      if (x.kind == ENT) {
        if (!mut("reignHdr")) r.maxReign = max(r.maxReign, (int)x.reign);
        if (x.lead && !mut("prefixMarks")) r.hi = max(r.hi, (int)x.mark);
      }
    }
  }
  // which reigns took effect
  int R = 0;
  for (int f = 0; f < F; f++)
    if (hv[f]) {
      const Blk& h = T[s.cache[f][0]];
      bool eff = false;
      if (!h.opening)
        eff = true;
      else {
        for (int b = 1; b < B; b++) {
          const Blk& x = T[s.cache[f][b]];
          if (x.kind == ENT && x.reign == h.reign) eff = true;
        }
        int q;
        int e = runOf(s, f, h, q, h.copyEnd);
        if (mut("useComplete") && e == h.copyEnd && q == h.E) eff = true;
      }
      if (mut("effHeader")) eff = true;
      if (eff) R = max(R, (int)h.reign);
    }
  if (mut("reignLast")) r.maxReign = R;
  r.R = R;
  if (!mut("noReignGroup"))
    for (int f = 0; f < F; f++)
      for (int b = 1; b < B; b++) {
        const Blk& x = T[s.cache[f][b]];
        if (x.kind == ENT && x.reign > R) {
          r.corrupt = true;
          r.why = "a group of reign " + to_string(x.reign) + ", whose opening is not found";
          return r;
        }
      }
  if (!R) {
    if (r.hi > 0) {
      r.corrupt = true;
      r.why = "a mark, but no segment";
    }
    return r;
  }
  int nf = -1;
  for (int f = 0; f < F; f++)
    if (hv[f]) {
      const Blk& h = T[s.cache[f][0]];
      if (h.reign == R && (nf < 0 || h.num > T[s.cache[nf][0]].num)) nf = f;
    }
  const Blk& h = T[s.cache[nf][0]];
  r.base = nf;
  r.num = h.num;
  r.first = h.first;
  r.pred = h.pred;
  int seq;
  int e = runOf(s, nf, h, seq);
  r.e = e;
  r.seqEnd = seq;
  r.content = 1;
  for (int b = 1; b < e; b++) {
    const Blk& x = T[s.cache[nf][b]];
    if (x.type == DATA || x.type == CKPT) r.content = b + 1;
    if (mut("prefixMarks") && x.lead) r.hi = max(r.hi, (int)x.mark);
  }
  if (r.hi > seq) {
    r.corrupt = true;
    r.why = "a mark says " + to_string(r.hi) + " entries durable, readable " + to_string(seq);
    return r;
  }
  // checkpoints: named by the newest header, then by entries behind it
  r.ckA = h.ckA;
  r.ckB = h.ckB;
  r.consB = h.ckB;
  for (int b = 1; b < e; b++) {
    const Blk& x = T[s.cache[nf][b]];
    if (x.type == CKPT && x.c > r.ckA) {
      r.ckB = r.ckA;
      r.ckA = x.c;
    }
  }
  if (mut("ckptEarly")) r.consB = r.ckB;
  auto ckOk = [&](int c) { return c == 0 || !(s.ckRot >> c & 1); };
  int c;
  if (ckOk(r.ckA))
    c = r.ckA;
  else if (ckOk(r.ckB))
    c = r.ckB;
  else {
    r.corrupt = true;
    r.why = "both checkpoints damaged";
    return r;
  }
  for (int f = 0; f < F; f++)
    if (hv[f] && !h.opening) {
      const Blk& x = T[s.cache[f][0]];
      if (x.num == h.num - 1 && x.reign == h.pred) r.keep = f;
    }
  if (h.opening) {
    r.reprove = 1;
    for (int f = 0; f < F; f++)
      for (int b = 1; b < B; b++) {
        const Blk& x = T[s.cache[f][b]];
        if (x.kind == ENT && x.reign == R && x.type != OPEN) r.reprove = 0;
      }
  }
  // walk back by links
  struct Sg {
    int f, first, reign, endSeq;
  };
  vector<Sg> v;
  v.push_back({nf, h.first, h.reign, seq});
  int num = h.num, pred = h.pred, want = h.first;
  if (mut("tailE") && h.opening && C.tail && !h.c) want = h.E;
  while (num > 1 && v.back().first > min(c, r.consB)) {
    int g = -1;
    for (int f = 0; f < F; f++)
      if (hv[f]) {
        const Blk& x = T[s.cache[f][0]];
        if (x.num == num - 1 && (mut("noLink") ? (g < 0 || x.reign > T[s.cache[g][0]].reign) : x.reign == pred)) g = f;
      }
    if (g < 0) {
      if (v.back().first > c) {
        r.corrupt = true;
        r.why = "segment " + to_string(num - 1) + " is missing";
        return r;
      }
      break;
    }
    const Blk& x = T[s.cache[g][0]];
    int q;
    runOf(s, g, x, q);
    if (q < want && want > c) {
      r.corrupt = true;
      r.why = "closed segment " + to_string(num - 1) + " damaged";
      return r;
    }
    v.push_back({g, x.first, x.reign, v.back().first});
    num--;
    pred = x.pred;
    want = x.first;
    if (mut("tailE") && x.opening && C.tail && !x.c) want = x.E;
  }
  reverse(v.begin(), v.end());
  r.n = c;
  memcpy(r.ids, s.H, sizeof r.ids);  // checkpoint state holds durable history (ghost: equals H's prefix)
  for (size_t i = 0; i < v.size(); i++) {
    const Blk& hx = T[s.cache[v[i].f][0]];
    int q = hx.first;
    for (int b = 1; b < B; b++) {
      const Blk& x = T[s.cache[v[i].f][b]];
      if (v[i].f == nf && b >= e) break;
      if (x.kind != ENT) break;
      if (x.type >= MARK) continue;
      if (x.seq != q) break;
      if (q >= v[i].endSeq) break;
      if (q >= c) {
        r.ids[q] = x.id;
        r.n = q + 1;
      }
      q++;
    }
  }
  if (r.n < c) r.n = c;
  if ((int)v.size() > CH) {
    printf("chain too long\n");
    exit(1);
  }
  r.chN = v.size();
  for (int i = 0; i < r.chN; i++) {
    r.chF[i] = v[i].f;
    r.chFirst[i] = v[i].first;
    r.chReign[i] = v[i].reign;
  }
  // what the highest mark covers in the newest segment (tail variant copies from there)
  int q = h.first;
  r.coverBlk = 1;
  r.coverSeq = h.first;
  for (int b = 1; b < e; b++) {
    const Blk& x = T[s.cache[nf][b]];
    if (x.type < MARK) q++;
    if (q <= r.hi) {
      r.coverBlk = b + 1;
      r.coverSeq = q;
    }
  }
  return r;
}
struct Out {
  S s;
  string l;
};
string viol;
bool quiet = false;
void wr(S& s, int f, int b, const Blk& x) {
  u16 t = in(x);
  if (s.dirty[f][b] && s.cache[f][b] != t && s.cache[f][b] != s.disk[f][b]) s.mid[f][b] = s.cache[f][b];
  s.cache[f][b] = t;
  s.dirty[f][b] = 1;
}
void syncOk(S& s, int f) {
  for (int b = 0; b < B; b++)
    if (s.dirty[f][b]) {
      s.disk[f][b] = s.cache[f][b];
      s.dirty[f][b] = 0;
      s.mid[f][b] = 0;
    }
}
void down(S& s) {
  s.phase = DOWN;
  s.file = s.blk = s.num = s.reign = s.dur = s.seq = s.ckA = s.ckB = s.pend = s.pend2 = s.chN = s.baseFile = s.recN =
      s.canMark = s.proven = 0;
  memset(s.chF, 0, CH);
  memset(s.chFirst, 0, CH);
  memset(s.chReign, 0, CH);
}
string bs(u16 t) {
  const Blk& x = T[t];
  char z[80];
  if (x.kind == ZERO) return "-";
  if (x.kind == BAD) return "##";
  if (x.kind == HDR) {
    snprintf(z, 80, "[seg%d r%d%s first%d ce%d]", x.num, x.reign, x.opening ? " open" : "", x.first, x.copyEnd);
    return z;
  }
  const char* n[] = {"e", "ck", "m", "OPEN"};
  snprintf(z, 80, "%s%d/r%d%s#%d", n[x.type], x.seq, x.reign,
           x.lead ? ("<mark " + to_string(x.mark) + ">").c_str() : "", x.id);
  return z;
}
string dump(const S& s) {
  string o;
  for (int f = 0; f < F; f++) {
    o += "      file" + to_string(f) + ": ";
    for (int b = 0; b < B; b++) {
      o += bs(s.cache[f][b]);
      if (s.cache[f][b] != s.disk[f][b]) o += "(disk " + bs(s.disk[f][b]) + ")";
      o += " ";
    }
    o += "\n";
  }
  o += "      written " + to_string(s.hn) + " acked " + to_string(s.acked) + " (before last sync " +
       to_string(s.ackedBefore) + ")\n";
  return o;
}
// all outcomes of losing (power) or partly persisting (failed sync, file f only) the dirty blocks
template <class Fn>
void outcomes(const S& s0, int only, Fn fn) {
  vector<pair<int, int>> d;
  for (int f = 0; f < F; f++)
    if (only < 0 || f == only)
      for (int b = 0; b < B; b++)
        if (s0.dirty[f][b] && ((C.tornAll && mut("noPsow")) || s0.cache[f][b] != s0.disk[f][b] || s0.mid[f][b]))
          d.push_back({f, b});
  vector<int> o(d.size(), 0);
  static mt19937 g(7);
  auto opts = [&](int i) {
    vector<u16> v;
    int f = d[i].first, b = d[i].second;
    v.push_back(s0.disk[f][b]);
    v.push_back(s0.cache[f][b]);
    if (s0.mid[f][b]) v.push_back(s0.mid[f][b]);
    if (C.tornAll || b == 0) v.push_back(1);
    return v;
  };
  vector<vector<u16>> ov;
  for (size_t i = 0; i < d.size(); i++) ov.push_back(opts(i));
  while (true) {
    S s = s0;
    for (size_t i = 0; i < d.size(); i++) s.disk[d[i].first][d[i].second] = ov[i][o[i]];
    for (int f = 0; f < F; f++)
      if (only < 0 || f == only)
        for (int b = 0; b < B; b++) {
          s.dirty[f][b] = 0;
          s.mid[f][b] = 0;
        }
    fn(s);
    size_t i = 0;
    for (; i < d.size(); i++) {
      if (++o[i] < (int)ov[i].size()) break;
      o[i] = 0;
    }
    if (i == d.size()) break;
  }
}
void dropCache(S& s) {
  for (int f = 0; f < F; f++)
    for (int b = 0; b < B; b++)
      if (!s.dirty[f][b]) s.cache[f][b] = s.disk[f][b];
}
u64 nExcept = 0, nDetected = 0, nRecover = 0, nVoid = 0, nNested = 0;
void succ(const S& s, vector<Out>& out) {
  auto crashes = [&](const S& s) {
    if (!s.cL) return;
    {
      S t = s;
      t.cL--;
      down(t);
      out.push_back({t, "kill"});
    }
    S u = s;
    u.cL--;
    u.lossy = 1;
    down(u);
    outcomes(u, -1, [&](S& t) {
      dropCache(t);
      out.push_back({t, "power cut"});
    });
  };
  auto failSync = [&](const S& s, int f, const char* l) {
    if (!s.fL) return;
    S u = s;
    u.fL--;
    u.lossy = 1;
    down(u);
    outcomes(u, f, [&](S& t) {
      out.push_back({t, string(l) + " FAILS, pages stay in the cache"});
      S e = t;
      dropCache(e);
      out.push_back({e, string(l) + " FAILS, pages evicted"});
    });
  };
  const int OM = mut("oneOpen") ? 1 : 2;
  const int room = mut("noReserve") ? B : B - OM;  // the last block is kept for the opening mark
  if (s.phase == DOWN) {
    if (s.cL) {
      S u = s;
      bool any = false;
      for (int f = 0; f < F; f++)
        for (int b = 0; b < B; b++) any |= s.dirty[f][b];
      if (any) {
        u.cL--;
        u.lossy = 1;
        outcomes(u, -1, [&](S& t) {
          dropCache(t);
          out.push_back({t, "power cut while down"});
        });
      }
    }
    if (C.rot && !s.rotUsed) {
      for (int f = 0; f < F; f++)
        for (int b = 0; b < B; b++)
          if (!s.dirty[f][b] && s.disk[f][b] && T[s.disk[f][b]].kind != BAD) {
            S t = s;
            t.rotUsed = 1;
            t.rotKind = 1;
            t.cache[f][b] = t.disk[f][b] = 1;
            out.push_back({t, "bit rot file" + to_string(f) + " block" + to_string(b) + " " + bs(s.disk[f][b])});
          }
      Rec q = recover(s);
      for (int c : {q.ckA, q.ckB})
        if (c) {
          S t = s;
          t.rotUsed = 1;
          t.rotKind = 2;
          t.ckRot |= 1 << c;
          out.push_back({t, "bit rot checkpoint " + to_string(c)});
        }
    }
    Rec r = recover(s);
    nRecover++;
    if (r.corrupt) {
      if (!s.rotUsed)
        viol = "FALSE CORRUPTION: " + r.why;
      else if (s.rotKind == 2)
        viol = "refused although one checkpoint is whole: " + r.why;
      else
        nDetected++;
      return;
    }
    for (int i = 0; i < r.n; i++)
      if (i >= s.hn || r.ids[i] != s.H[i]) {
        viol = "NOT A PREFIX: recovered entry " + to_string(i) + " is not of this history (dead or different)";
        return;
      }
    int need = (s.rotUsed && s.rotKind == 1) ? s.ackedBefore : s.acked;
    if (r.n < need) {
      viol = "LOST: recovered " + to_string(r.n) + " of " + to_string(need) + " acknowledged" +
             (s.rotUsed ? " (damage cut in silence)" : "");
      return;
    }
    if (!s.lossy && !s.rotUsed && r.n != s.hn) {
      viol = "KILL LOST: recovered " + to_string(r.n) + " of " + to_string(s.hn) + " written";
      return;
    }
    if (r.n < s.acked) nExcept++;
    if (r.reprove && s.proven != r.R && !mut("noReprove")) {
      S t = s;
      int last = 0;
      for (int b = 1; b < B; b++) {
        const Blk& x = T[s.cache[r.base][b]];
        if (x.kind == ENT && x.type == OPEN && x.reign == r.R) last = b;
      }
      if (last) {
        int c0 = T[s.cache[r.base][0]].copyEnd;
        u16 good = s.cache[r.base][last];
        int one = c0 + 1, two = c0;
        if (mut("oneOpen")) one = two = c0;
        wr(t, r.base, one, T[good]);
        wr(t, r.base, two, T[good]);
        t.phase = REC0;
        t.file = r.base;
        t.reign = r.R;
        t.blk = 0;
        t.seq = one;
        out.push_back({t, "recovery writes reign " + to_string(r.R) + "'s opening mark again"});
        return;
      }
    }
    // open a new reign
    bool usedF[F] = {0};
    for (int i = 0; i < r.chN; i++) usedF[r.chF[i]] = 1;
    if (!mut("noKeepPred") && r.keep >= 0) usedF[r.keep] = 1;
    int fresh[2] = {-1, -1};
    for (int pass = 0; pass < 2 && fresh[0] < 0; pass++)
      for (int f = 0; f < F; f++)
        if (!usedF[f] && (pass || T[s.cache[f][0]].kind != BAD)) {
          if (fresh[0] < 0) fresh[0] = f;
          fresh[1] = f;
        }
    if ((mut("spare") || mut("spare2")) && fresh[0] < 0 && !s.rotUsed) {
      viol = "STUCK: no file left to start with";
      return;
    }
    for (int k = 0; k < 2; k++) {
      int f = fresh[k];
      if (f < 0 || (k == 1 && f == fresh[0])) continue;
      S t = s;
      t.proven = 0;
      t.reign = r.maxReign + 1;
      Blk h;
      h.kind = HDR;
      h.reign = t.reign;
      h.opening = 1;
      h.ckA = r.ckA;
      h.ckB = r.ckB;
      vector<Blk> copy;
      if (r.base < 0) {
        h.num = 1;
        h.copyEnd = 1;
        h.first = 0;
        h.E = 0;
      } else if (!C.tail) {
        h.num = r.num;
        h.pred = r.pred;
        h.first = r.first;
        h.E = r.seqEnd;
        h.copyEnd = r.content;
        for (int b = 1; b < r.content; b++) copy.push_back(T[s.cache[r.base][b]]);
      } else {
        bool none = r.coverSeq == r.first && !mut("tailNaive");
        h.num = none ? r.num : r.num + 1;
        h.c = none;
        h.pred = none ? r.pred : r.R;
        h.first = r.coverSeq;
        h.E = r.seqEnd;
        for (int b = r.coverBlk; b < r.content; b++) copy.push_back(T[s.cache[r.base][b]]);
        h.copyEnd = 1 + copy.size();
      }
      if (mut("restamp"))
        for (auto& x : copy) x.reign = t.reign;
      h.mark = r.hi;
      if (h.copyEnd + OM > B && !mut("noOpenSync")) {
        viol = "NO ROOM for the opening mark behind the copy";
        return;
      }
      t.num = h.num;
      // killed in the middle of writing header + copy
      if (s.cL)
        for (size_t p = 1; p <= copy.size(); p++) {
          S u = t;
          wr(u, f, 0, h);
          for (size_t i = 0; i + 1 < p; i++) wr(u, f, 1 + i, copy[i]);
          u.cL--;
          down(u);
          out.push_back({u, "recover: reign " + to_string(h.reign) + " into file" + to_string(f) + ", killed after " +
                                to_string(p) + " blocks"});
        }
      wr(t, f, 0, h);
      for (size_t i = 0; i < copy.size(); i++) wr(t, f, 1 + i, copy[i]);
      t.phase = REC1;
      t.file = f;
      t.blk = h.copyEnd;
      t.seq = r.seqEnd;
      t.recN = r.n;
      t.ckA = r.ckA;
      t.ckB = r.ckB;
      t.chN = 0;
      for (int i = 0; i < r.chN; i++) {
        if ((!C.tail || h.num == r.num) && r.chF[i] == r.base) continue;
        t.chF[t.chN] = r.chF[i];
        t.chFirst[t.chN] = r.chFirst[i];
        t.chReign[t.chN] = r.chReign[i];
        t.chN++;
      }
      if (t.chN >= CH) {
        printf("chain\n");
        exit(1);
      }
      t.chF[t.chN] = f;
      t.chFirst[t.chN] = h.first;
      t.chReign[t.chN] = h.reign;
      t.chN++;
      t.dur = r.hi;
      out.push_back({t, "recover: " + to_string(r.n) + " entries from reign " + to_string(r.R) + "; reign " +
                            to_string(h.reign) + " seg " + to_string(h.num) + " into file" + to_string(f) + ", copy " +
                            to_string(copy.size())});
    }
    return;
  }
  if (s.phase == REC0) {
    crashes(s);
    failSync(s, s.file, "sync of the mark written again");
    S t = s;
    int r0 = t.reign;
    syncOk(t, t.file);
    if (t.blk) {
      wr(t, t.file, t.blk, T[t.cache[t.file][t.seq]]);
      t.blk = 0;
      out.push_back({t, "recovery syncs it, writes the other mark again"});
      return;
    }
    down(t);
    t.proven = r0;
    out.push_back({t, "recovery syncs it"});
    return;
  }
  if (s.phase == REC1) {
    crashes(s);
    failSync(s, s.file, "first sync of recovery");
    S t = s;
    syncOk(t, t.file);
    t.dur = t.seq;
    t.phase = REC2;
    if (mut("noOpenSync")) goto serve2;
    out.push_back({t, "recovery syncs header and copy"});
    return;
  serve2 : {
    t.phase = UP;
    if (t.served >> t.reign & 1) {
      viol = "REIGN " + to_string(t.reign) + " served twice";
      return;
    }
    t.served |= 1 << t.reign;
    t.hn = t.recN;
    for (int i = t.hn; i < HMAX; i++) t.H[i] = 0;
    t.acked = t.hn;
    t.ackedBefore = t.hn;
    t.lossy = 0;
    t.canMark = 1;
    out.push_back({t, "SERVE after one sync"});
    return;
  }
  }
  if (s.phase == REC2) {
    crashes(s);
    S t = s;
    Blk x;
    x.kind = ENT;
    x.type = OPEN;
    x.reign = t.reign;
    x.num = t.num;
    x.lead = 1;
    x.mark = t.dur;
    x.seq = t.seq;
    for (int i = 0; i < OM; i++) {
      wr(t, t.file, t.blk, x);
      t.blk++;
    }
    t.phase = REC3;
    out.push_back({t, "recovery writes the opening mark"});
    return;
  }
  if (s.phase == REC3) {
    crashes(s);
    failSync(s, s.file, "second sync of recovery");
    S t = s;
    syncOk(t, t.file);
    t.dur = t.seq;
    t.phase = UP;
    if (t.served >> t.reign & 1) {
      viol = "REIGN " + to_string(t.reign) + " served twice";
      return;
    }
    t.served |= 1 << t.reign;
    t.hn = t.recN;
    for (int i = t.hn; i < HMAX; i++) t.H[i] = 0;
    t.acked = t.ackedBefore = t.hn;
    t.lossy = 0;
    t.recN = 0;
    out.push_back({t, "recovery syncs; SERVE reign " + to_string(t.reign)});
    return;
  }
  // UP
  crashes(s);
  auto ackAll = [&](S& t, bool any) {
    if (any) t.ackedBefore = t.acked;
    t.acked = t.hn;
    for (u8* p : {&t.pend, &t.pend2})
      if (*p) {
        t.ckB = t.ckA;
        t.ckA = *p;
        *p = 0;
      }
  };
  auto place = [&](S t, int n, int ck, bool mark, string l) {  // write one group of n blocks, rolling over if needed
    if (t.hn + n > HMAX - 2) return;
    string pre;
    if (t.blk + n > room) {
      if (mark) return;
      if (1 + n > room) return;
      int eB = mut("ckptEarly") ? (t.pend2 ? t.pend : t.pend ? t.ckA : t.ckB) : t.ckB;
      if (mut("oneCkpt")) eB = t.ckA;
      if (!mut("noRollSync")) {
        failSync(t, t.file, "sync at roll-over");
        bool any = false;
        for (int b = 0; b < B; b++) any |= t.dirty[t.file][b];
        syncOk(t, t.file);
        ackAll(t, any);
        t.dur = t.seq;
        if (!mut("ckptEarly")) eB = mut("oneCkpt") ? t.ckA : t.ckB;
      }
      int drop = 0;
      while (drop + 1 < t.chN && t.chFirst[drop + 1] <= eB) drop++;
      if (drop) {
        for (int i = drop; i < t.chN; i++) {
          t.chF[i - drop] = t.chF[i];
          t.chFirst[i - drop] = t.chFirst[i];
          t.chReign[i - drop] = t.chReign[i];
        }
        for (int i = t.chN - drop; i < t.chN; i++) t.chF[i] = t.chFirst[i] = t.chReign[i] = 0;
        t.chN -= drop;
      }
      bool us[F] = {0};
      for (int i = 0; i < t.chN; i++) us[t.chF[i]] = 1;
      int ch[2] = {-1, -1};
      for (int f = 0; f < F; f++)
        if (!us[f]) {
          if (ch[0] < 0) ch[0] = f;
          ch[1] = f;
        }
      if (ch[0] < 0 || t.chN >= CH) return;
      if (mut("spare") || mut("spare2")) {
        int n = 0;
        for (int f = 0; f < F; f++) n += !us[f];
        if (n < (mut("spare2") ? 3 : 2)) return;
      }
      int f = ch[(t.nextId & 1) && ch[1] >= 0 ? 1 : 0];
      Blk h;
      h.kind = HDR;
      h.num = t.num + 1;
      h.reign = t.reign;
      h.pred = t.reign;
      h.copyEnd = 1;
      h.first = t.seq;
      h.E = t.seq;
      h.ckA = t.ckA;
      h.ckB = t.ckB;
      h.mark = t.dur;
      wr(t, f, 0, h);
      t.chF[t.chN] = f;
      t.chFirst[t.chN] = t.seq;
      t.chReign[t.chN] = t.reign;
      t.chN++;
      t.file = f;
      t.blk = 1;
      t.num++;
      pre = "roll over to seg " + to_string(t.num) + " in file" + to_string(f) + "; ";
    }
    for (int i = 0; i < n; i++) {
      Blk x;
      x.kind = ENT;
      x.reign = t.reign;
      x.lead = i == 0;
      x.mark = i == 0 ? t.dur : 0;
      x.seq = t.seq;
      if (mark) {
        x.type = MARK;
      } else {
        x.id = t.nextId++;
        x.type = ck ? CKPT : DATA;
        x.c = ck;
        t.H[t.hn++] = x.id;
        t.seq++;
      }
      wr(t, t.file, t.blk++, x);
    }
    if (ck && mut("ckptEarly")) {
      int eB = t.pend ? t.pend : t.ckA;
      int drop = 0;
      while (drop + 1 < t.chN && t.chFirst[drop + 1] <= eB) drop++;
      for (int i = 0; i < drop; i++) {
        Blk z;
        wr(t, t.chF[i], 0, z);
      }
      if (drop) {
        for (int i = drop; i < t.chN; i++) {
          t.chF[i - drop] = t.chF[i];
          t.chFirst[i - drop] = t.chFirst[i];
          t.chReign[i - drop] = t.chReign[i];
        }
        t.chN -= drop;
        l += ", segments before " + to_string(eB) + " freed at once";
      }
    }
    if (ck) {
      if (t.pend)
        t.pend2 = ck;
      else
        t.pend = ck;
    }
    t.canMark = 0;
    out.push_back({t, pre + l});
  };
  if (s.gL)
    for (int n = 1; n <= C.gmax; n++) {
      S t = s;
      t.gL--;
      place(t, n, 0, false, "write group of " + to_string(n));
    }
  if (s.kL && s.acked > s.ckA && !s.pend2 && s.acked > s.pend) {
    S t = s;
    t.kL--;
    place(t, 1, s.acked, false, "checkpoint of " + to_string(s.acked) + " entries (file synced), its entry written");
  }
  if (s.mL && s.canMark) {
    S t = s;
    t.mL--;
    place(t, 1, 0, true, "unsynced mark");
  }
  bool d = false;
  for (int b = 0; b < B; b++) d |= s.dirty[s.file][b];
  if (d) {
    S t = s;
    syncOk(t, t.file);
    t.dur = t.seq;
    ackAll(t, true);
    t.canMark = 1;
    out.push_back({t, "sync, acknowledge " + to_string(t.hn)});
    failSync(s, s.file, "sync");
  }
}
u64 hs(const S& s, u64 seed) {
  const u8* p = (const u8*)&s;
  u64 h = seed;
  size_t n = sizeof(S);
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    u64 w;
    memcpy(&w, p + i, 8);
    h ^= w;
    h *= 0x9E3779B97F4A7C15ull;
    h ^= h >> 29;
  }
  for (; i < n; i++) {
    h ^= p[i];
    h *= 0x9E3779B97F4A7C15ull;
    h ^= h >> 29;
  }
  h ^= h >> 32;
  return h;
}
S init() {
  S s;
  memset(&s, 0, sizeof s);
  s.gL = C.groups;
  s.cL = C.crashes;
  s.fL = C.fails;
  s.kL = C.ckpts;
  s.mL = C.marks;
  s.nextId = 1;
  return s;
}
int main(int ac, char** av) {
  T.push_back(Blk());
  TI[T[0]] = 0;
  Blk bad;
  bad.kind = BAD;
  in(bad);
  u64 limit = 30000000;
  long walks = 0;
  int seed = 1;
  for (int i = 1; i < ac; i++) {
    string a = av[i];
    auto v = [&](const char* k, int& x) {
      size_t n = strlen(k);
      if (a.compare(0, n, k) == 0 && a[n] == '=') {
        x = atoi(a.c_str() + n + 1);
        return true;
      }
      return false;
    };
    int x;
    if (v("groups", C.groups) || v("crashes", C.crashes) || v("rot", C.rot) || v("fails", C.fails) ||
        v("ckpts", C.ckpts) || v("marks", C.marks) || v("gmax", C.gmax) || v("depth", C.depth) || v("seed", seed))
      continue;
    if (v("limit", x)) {
      limit = x * 1000000ull;
      continue;
    }
    if (v("walks", x)) {
      walks = x;
      continue;
    }
    if (a == "tail") {
      C.tail = 1;
      continue;
    }
    if (a == "torn") {
      C.tornAll = 1;
      continue;
    }
    if (a[0] == '-') {
      M[a.substr(1)] = 1;
      continue;
    }
    printf("?? %s\n", a.c_str());
    return 2;
  }
  vector<Out> out;
  if (walks) {
    mt19937 g(seed);
    u64 steps = 0;
    for (long w = 0; w < walks; w++) {
      S s = init();
      vector<string> tr;
      for (int d = 0; d < 400; d++) {
        out.clear();
        viol.clear();
        succ(s, out);
        if (!viol.empty()) {
          printf("VIOLATION %s (walk %ld)\n", viol.c_str(), w);
          for (auto& l : tr) printf("   %s\n", l.c_str());
          printf("%s", dump(s).c_str());
          return 1;
        }
        if (out.empty()) break;
        // choose a label class first, so that power cuts do not drown the rest
        map<string, vector<int>> cls;
        for (size_t i = 0; i < out.size(); i++) cls[out[i].l.substr(0, 8)].push_back(i);
        auto it = cls.begin();
        advance(it, g() % cls.size());
        if ((it->first.substr(0, 4) == "kill" || it->first.substr(0, 5) == "power" ||
             it->first.substr(0, 7) == "bit rot") &&
            g() % 3) {
          it = cls.begin();
          advance(it, g() % cls.size());
        }
        int i = it->second[g() % it->second.size()];
        s = out[i].s;
        tr.push_back(out[i].l);
        steps++;
      }
    }
    printf("HOLDS random: %ld walks, %llu steps, %llu recoveries, %llu detected, %llu admitted exceptions\n", walks,
           (unsigned long long)steps, (unsigned long long)nRecover, (unsigned long long)nDetected,
           (unsigned long long)nExcept);
    return 0;
  }
  // BFS; keep only the frontier's states, and parents + labels for traces
  struct P {
    unsigned parent;
    unsigned label;
  };
  vector<P> par;
  vector<string> labels;
  map<string, unsigned> li;
  auto lab = [&](const string& l) {
    auto i = li.find(l);
    if (i != li.end()) return i->second;
    labels.push_back(l);
    return li[l] = (unsigned)labels.size() - 1;
  };
  unordered_set<u64> seen;
  seen.reserve(1 << 22);
  vector<pair<S, unsigned>> cur, nxt;
  S s0 = init();
  par.push_back({0, lab("start")});
  cur.push_back({s0, 0});
  seen.insert(hs(s0, 1));
  int depth = 0;
  u64 trans = 0;
  bool full = false;
  while (!cur.empty() && depth < C.depth && !full) {
    for (auto& p : cur) {
      out.clear();
      viol.clear();
      succ(p.first, out);
      if (!viol.empty()) {
        printf("VIOLATION %s\n   after %d steps, %zu states\n", viol.c_str(), depth, seen.size());
        vector<string> tr;
        unsigned i = p.second;
        while (i) {
          tr.push_back(labels[par[i].label]);
          i = par[i].parent;
        }
        reverse(tr.begin(), tr.end());
        int k = 1;
        for (auto& l : tr) printf("   %d %s\n", k++, l.c_str());
        printf("%s", dump(p.first).c_str());
        return 1;
      }
      for (auto& o : out) {
        trans++;
        if (seen.insert(hs(o.s, 1)).second) {
          if (par.size() >= limit) {
            full = true;
            break;
          }
          par.push_back({p.second, lab(o.l)});
          nxt.push_back({o.s, (unsigned)par.size() - 1});
        }
      }
      if (full) break;
    }
    cur.swap(nxt);
    nxt.clear();
    nxt.shrink_to_fit();
    depth++;
  }
  printf("%s: %zu states, %llu transitions, depth %d, %llu recoveries, %llu detected, %llu admitted exceptions\n",
         full ? "HOLDS up to limit" : (cur.empty() ? "HOLDS exhaustively" : "HOLDS to depth"), seen.size(),
         (unsigned long long)trans, depth, (unsigned long long)nRecover, (unsigned long long)nDetected,
         (unsigned long long)nExcept);
}
