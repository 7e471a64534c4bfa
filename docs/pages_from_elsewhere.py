"""Hooks of mkdocs: files outside docs/ that are pages of the site, and links that lead out of docs/.

A link is written as it works in the repository. On the site, one to a file that is a page leads to that page, and one
to another file (an example, a script) to a copy of the file.
"""

import posixpath
import re
from pathlib import Path
from typing import Match

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).parents[1]
DOCS = "docs/"
PAGES = {
    "README.md": "index.md",
    "docker/README.md": "containers.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
ORIGINS = {page: origin for origin, page in PAGES.items()}
COPIES = "files/"
# [text](target) or [text](target#heading); what is an address with a scheme, or only a heading, stays.
LINK = re.compile(r"\]\((?P<target>[^)\s:#]+)(?P<heading>#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for origin, page in PAGES.items():
        files.append(
            File.generated(
                config, page, content=(REPOSITORY / origin).read_text(encoding="utf-8")
            )
        )
    return files


def on_page_markdown(
    markdown: str, page: Page, config: MkDocsConfig, files: Files
) -> str:
    origin = ORIGINS.get(page.file.src_uri, DOCS + page.file.src_uri)

    def on_the_site(link: Match[str]) -> str:
        path = posixpath.normpath(
            posixpath.join(posixpath.dirname(origin), link["target"])
        )
        if path.startswith("..") or not (REPOSITORY / path).is_file():
            return link[0]  # mkdocs says that it leads nowhere, if it is a link
        target = (
            path[len(DOCS) :]
            if path.startswith(DOCS)
            else PAGES.get(path, COPIES + path)
        )
        if files.get_file_from_path(target) is None:
            files.append(
                File.generated(config, target, abs_src_path=str(REPOSITORY / path))
            )
        here = posixpath.dirname(page.file.src_uri)
        return f"]({posixpath.relpath(target, here or '.')}{link['heading'] or ''})"

    return LINK.sub(on_the_site, markdown)
