// fugo-reference: writes the man page and the bash completion of `fugo` from its command line.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/command/application.h"

namespace {

using fugo::daemon::Context;

std::vector<const CLI::App*> commands_of(const CLI::App& app) { return app.get_subcommands({}); }

std::vector<const CLI::Option*> options_of(const CLI::App& app, bool positional) {
  return app.get_options([&](const CLI::Option* option) {
    const bool is_option = option->nonpositional();
    return is_option != positional && option->get_lnames() != std::vector<std::string>{"help"};
  });
}

// roff takes some characters for its own: text that comes from elsewhere is escaped.
std::string roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else if (c == '\'' && (out.empty() || out.back() == '\n'))
      out += "\\(aq";
    else if (c == '.' && (out.empty() || out.back() == '\n'))
      out += "\\&.";
    else
      out += c;
  }
  return out;
}

std::string bold(std::string_view text) { return "\\fB" + roff(text) + "\\fR"; }
std::string italic(std::string_view text) { return "\\fI" + roff(text) + "\\fR"; }

// spelling is "--out FILE": how an option is written.
std::string spelling(const CLI::Option& option) {
  if (!option.nonpositional()) return italic(option.get_single_name());
  std::string text = bold("--" + option.get_lnames().front());
  if (option.get_items_expected_max() != 0) text += " " + italic("VALUE");
  return text;
}

std::string options_text(const CLI::App& app) {
  std::string text;
  for (const bool positional : {true, false})
    for (const auto* option : options_of(app, positional))
      text += fmt::format(".TP\n{}\n{}{}\n", spelling(*option), roff(option->get_description()),
                          option->get_required() && !positional ? " (required)" : "");
  return text;
}

std::string command_text(const CLI::App& command, const std::string& path) {
  std::string text = fmt::format(".SS {}", bold(path));
  for (const auto* positional : options_of(command, true)) text += " " + spelling(*positional);
  text += fmt::format("\n{}.\n{}", roff(command.get_description()), options_text(command));
  for (const auto* inner : commands_of(command))
    text += command_text(*inner, path + " " + inner->get_name());
  return text;
}

std::string man_page(const CLI::App& app) {
  std::string text = fmt::format(
      ".\\\" Made by fugo-reference from the command line itself.\n"
      ".TH FUGO 1 \"\" \"fugo {}\" \"fugo\"\n"
      ".SH NAME\nfugo \\- issue, keep and link symbols of people, derived inside an HSM\n"
      ".SH SYNOPSIS\n.B fugo\n[\\fIOPTIONS\\fR] \\fICOMMAND\\fR ...\n"
      ".SH DESCRIPTION\n"
      "Works on the site that a configuration names, see\n.BR fugo.toml (5).\n"
      "Results go to standard output, messages and progress to standard error. Every act that\n"
      "changes something is journaled.\n"
      ".SH OPTIONS\nThey are understood behind the command too.\n{}",
      FUGO_VERSION, options_text(app));
  text += ".SH COMMANDS\n";
  for (const auto* command : commands_of(app)) text += command_text(*command, command->get_name());
  text += fmt::format(
      ".SH EXIT STATUS\n{}\n"
      ".SH ENVIRONMENT\n.TP\n.B FUGO_CONFIG\nThe configuration, where no option names it.\n"
      ".SH SEE ALSO\n.BR fugod (8),\n.BR fugo.toml (5),\n.BR libfugo (3)\n",
      roff(app.get_footer()));
  return text;
}

// words_after is every word that may follow a command: inner commands and options.
std::string words_after(const CLI::App& command) {
  std::string words;
  for (const auto* inner : commands_of(command)) words += inner->get_name() + " ";
  for (const auto* option : options_of(command, false))
    words += "--" + option->get_lnames().front() + " ";
  return words + "--help";
}

void cases_of(const CLI::App& command, const std::string& path, std::string& cases) {
  cases += fmt::format("    '{}') words='{}' ;;\n", path, words_after(command));
  for (const auto* inner : commands_of(command))
    cases_of(*inner, path.empty() ? inner->get_name() : path + " " + inner->get_name(), cases);
}

// with_value lists the options, of all commands, that are followed by a value.
void with_value(const CLI::App& command, std::string& names) {
  for (const auto* option : options_of(command, false)) {
    const auto name = "--" + option->get_lnames().front();
    if (option->get_items_expected_max() != 0 &&
        (names + "|").find(name + "|") == std::string::npos)
      names += (names.empty() ? "" : "|") + name;
  }
  for (const auto* inner : commands_of(command)) with_value(*inner, names);
}

std::string completion(const CLI::App& app) {
  std::string cases, values;
  cases_of(app, "", cases);
  with_value(app, values);
  return fmt::format(
      R"bash(# bash completion of fugo. Made by fugo-reference from the command line itself.
# words_of PATH: what may follow the commands of PATH.
_fugo_words_of() {{
  local words=''
  case "$1" in
{0}  esac
  echo "$words"
}}

_fugo() {{
  local word path='' next i
  COMPREPLY=()
  case "${{COMP_WORDS[COMP_CWORD - 1]}}" in
    {1}) compopt -o default; return ;;
  esac
  for ((i = 1; i < COMP_CWORD; ++i)); do
    word=${{COMP_WORDS[i]}}
    case "$word" in
      {1}) ((++i)) ;;
      -*) ;;
      *)
        next="${{path:+$path }}$word"
        [[ -n $(_fugo_words_of "$next") ]] && path=$next
        ;;
    esac
  done
  COMPREPLY=($(compgen -W "$(_fugo_words_of "$path")" -- "${{COMP_WORDS[COMP_CWORD]}}"))
  # What is no command and no option is a file.
  ((${{#COMPREPLY[@]}})) || compopt -o default
}}
complete -F _fugo fugo
)bash",
      cases, values);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc == 2 ? argv[1] : "";
  if (what != "man" && what != "bash") {
    fmt::print(stderr, "usage: fugo-reference man|bash\n");
    return 2;
  }
  try {
    Context context;
    CLI::App app("", "fugo");
    fugo::daemon::add_command_line(app, context);
    fmt::print("{}", what == "man" ? man_page(app) : completion(app));
  } catch (const std::exception& error) {
    fmt::print(stderr, "fugo-reference: {}\n", error.what());
    return 1;
  }
  return 0;
}
