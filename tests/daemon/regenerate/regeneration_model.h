// A model of what everybody's symbols must be, kept beside a real site that is changed, regenerated
// and killed at random.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/daemon/regenerate/regenerated_site.h"

namespace fugo::test {

// RegenerationModel makes random acts on its site by the command. Whatever a command answers is
// compared with the model; a difference fails the test. With `kills`, every third act is first
// killed at a random durable step, then given again.
class RegenerationModel {
 public:
  RegenerationModel(std::uint64_t seed, bool kills);

  // act does one random thing that is possible now.
  void act();
  // check compares everybody's symbols with the site's answers, asks linking, and runs fugo verify.
  void check();

  struct Counts {
    std::uint64_t acts = 0, kills = 0, kills_in_runs = 0, runs = 0, aborts = 0, finished = 0;
    std::uint64_t issued = 0, changed = 0, deleted = 0, merged = 0, rebased = 0, linked = 0;
  };
  [[nodiscard]] const Counts& counts() const { return counts_; }
  [[nodiscard]] const std::string& log() const { return log_; }

 private:
  // Stage is how far the open run is.
  enum class Stage : std::uint8_t { kNone, kPlanned, kReady, kCommitted };
  struct Person {
    std::size_t code;  // number of resident_code()
    std::map<std::string, std::string> symbols;
    // Of whoever this person was before codes were changed; agency and symbol.
    std::vector<std::pair<std::string, std::string>> superseded = {};
    std::uint64_t id = 0;
  };
  // A symbol of the older version while it is accepted: of a person, or of whom they were before.
  struct OldSymbol {
    std::string agency, symbol;
    std::uint64_t person = 0;
    bool superseded = false;
  };
  // Question is a symbol of one agency, and what linking it to another must answer.
  struct Question {
    std::string symbol, answer;
  };

  void issue();
  void change();
  void erase();
  void plan();
  void run();
  void commit();
  void finish();
  void abort();
  void merge();
  void ack_all();

  // move puts new symbols in the place of an agency's old ones.
  void move(const std::string& agency, const std::map<std::string, std::string>& mapping,
            bool accepted);
  // check_links asks for symbols of everybody, present, superseded, old and gone, at every agency.
  void check_links();
  [[nodiscard]] std::vector<Question> questions(const std::string& from, const std::string& to);
  void ask(const std::string& from, const std::string& to, const std::vector<Question>& asked);
  void forget(const std::string& agency, const std::string& symbol);
  [[nodiscard]] Person* find_person(std::uint64_t id);
  [[nodiscard]] std::string answer_for(const Person& person, const std::string& to) const;

  // command gives a command, perhaps killed first, and returns the result of the last time.
  CommandResult command(std::vector<std::string> words, bool of_run = false);
  // kill_once runs the command until a random durable step; true when it was killed there.
  bool kill_once(const std::vector<std::string>& words);
  std::string request(const std::string& id, const std::string& text);
  [[nodiscard]] std::size_t chance(std::size_t most) { return random_() % most; }
  Person* somebody();

  TestSite site_;
  std::mt19937_64 random_;
  const bool kills_;
  std::vector<Person> people_;
  std::size_t next_code_ = 0;
  std::uint64_t next_request_ = 0;
  std::uint64_t next_person_ = 0;
  std::vector<std::string> agencies_ = kHolders;  // open ones
  unsigned next_agency_ = 0;
  std::set<std::string> seen_;  // every symbol that was ever given out
  std::vector<OldSymbol> old_;
  // Symbols that nobody has any more: of deleted people and of versions that are not accepted.
  std::vector<std::pair<std::string, std::string>> gone_;  // agency, symbol
  Stage stage_ = Stage::kNone;
  std::string run_, what_;
  std::string digest_before_;  // of an abort: when nothing else happened since the plan
  bool changed_since_plan_ = false;
  std::uint64_t usual_steps_ = 60;
  Counts counts_;
  std::string log_;
};

}  // namespace fugo::test
