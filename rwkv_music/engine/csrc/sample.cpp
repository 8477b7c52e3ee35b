#include "sample.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace rwkv {

namespace {

constexpr double kNothing = -1e4;  // as a logarithm: of a group that has no ids left
constexpr double kMost = -kNothing;  // that a logit may be; one that is no number is nothing
constexpr double kLeast = 1e-300;  // of what is left for later: its logarithm is taken

struct Scored {
  double score;
  int id;
};

double score_of(float logit) {
  return logit > kNothing ? std::min(static_cast<double>(logit), kMost) : kNothing;
}

// log of the sum of exp, added up in order.
double log_sum(const std::vector<Scored>& ids, std::size_t count) {
  double top = ids[0].score, sum = 0;
  for (std::size_t i = 1; i < count; ++i) top = std::max(top, ids[i].score);
  for (std::size_t i = 0; i < count; ++i) sum += std::exp(ids[i].score - top);
  return top + std::log(sum);
}

void penalise(std::vector<Scored>& ids, std::size_t count, const Odds& odds) {
  const double before = log_sum(ids, count);
  for (std::size_t i = 0; i < count; ++i)
    ids[i].score -= odds.log_penalty * odds.recent[ids[i].id - odds.first];
  const double shift = before - log_sum(ids, count);
  for (std::size_t i = 0; i < count; ++i) ids[i].score += shift;
}

// Ids: `now` of one place, `later` positions, and the end where it may come; `end` its score.
void thin(std::vector<Scored>& ids, std::size_t now, std::size_t later, double end,
          double density) {
  const double here = now > 0 ? log_sum(ids, now) : kNothing, log_density = std::log(density);
  std::vector<double> groups(later + 2), beyond(later + 1);
  groups[0] = here;
  for (std::size_t i = 0; i < later; ++i) groups[i + 1] = ids[now + i].score;
  groups[later + 1] = end;
  const double top = *std::max_element(groups.begin(), groups.end());
  for (double& group : groups) group -= top;
  double sum = 0;
  for (std::size_t i = later + 1; i > 0; --i) {
    sum += std::exp(groups[i]);
    beyond[i - 1] = sum + kLeast;
  }
  double reached = 0;  // log of the odds that no place before took
  for (std::size_t i = 0; i <= later; ++i) {
    const double both = std::log(density * std::exp(groups[i]) + beyond[i]);
    groups[i] += log_density - both;
    if (i > 0) groups[i] += reached;
    reached += std::log(beyond[i]) - both;
  }
  const double shift = groups[0] - here;
  for (std::size_t i = 0; i < now; ++i) ids[i].score += shift;
  for (std::size_t i = 0; i < later; ++i) ids[now + i].score = groups[i + 1];
  if (ids.size() > now + later) ids.back().score = reached;
}

bool likelier(const Scored& a, const Scored& b) {
  return a.score > b.score || (a.score == b.score && a.id < b.id);
}

}  // namespace

int draw(const float* logits, const Ranges& ranges, const Odds& odds, const Sampling& sampling,
         double u) {
  const auto [now_start, now_stop, later_start, later_stop, end, may_end] = ranges;
  std::vector<Scored> ids;
  ids.reserve(static_cast<std::size_t>(std::max(now_stop - now_start, 0)) +
              static_cast<std::size_t>(std::max(later_stop - later_start, 0)) + 1);
  for (int id = now_start; id < now_stop; ++id)
    if (odds.kept == nullptr || odds.kept[id - odds.first]) ids.push_back({score_of(logits[id]), id});
  const std::size_t now = ids.size();
  for (int id = later_start; id < later_stop; ++id)
    ids.push_back({score_of(logits[id]), id});
  const std::size_t later = ids.size() - now;
  if (may_end) ids.push_back({score_of(logits[end]), end});
  if (ids.empty()) return -1;
  if (odds.recent != nullptr && now > 0) penalise(ids, now, odds);
  if (odds.density != 1) thin(ids, now, later, score_of(logits[end]), odds.density);
  if (sampling.temperature <= 0 || ids.size() == 1)
    return std::min_element(ids.begin(), ids.end(), likelier)->id;

  std::sort(ids.begin(), ids.end(), likelier);
  std::size_t keep = ids.size();
  if (sampling.top_k > 0) keep = std::min(keep, static_cast<std::size_t>(sampling.top_k));
  std::vector<double> cumulative(ids.size());
  double sum = 0;
  std::size_t likely = 0;  // how many are at least min_p of the first
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const double weight = std::exp((ids[i].score - ids[0].score) / sampling.temperature);
    likely += weight >= sampling.min_p;
    cumulative[i] = sum += weight;
  }
  if (sampling.min_p > 0) keep = std::min(keep, std::max<std::size_t>(likely, 1));
  // The place of the first sum that is not less than a value.
  const auto place = [&](std::size_t count, double value) {
    const auto stop = cumulative.begin() + static_cast<std::ptrdiff_t>(count);
    return static_cast<std::size_t>(std::lower_bound(cumulative.begin(), stop, value) -
                                    cumulative.begin());
  };
  if (sampling.top_p < 1) keep = std::min(keep, place(ids.size(), sampling.top_p * sum) + 1);
  return ids[std::min(place(keep, u * cumulative[keep - 1]), keep - 1)].id;
}

}  // namespace rwkv
